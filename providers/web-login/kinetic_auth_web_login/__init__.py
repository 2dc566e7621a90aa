"""kinetic-auth's providers for grants with a refresh token: a configured one, or one from a login in the browser."""

from kinetic_auth_web_login.refresh_token import RefreshTokenAuthenticator
from kinetic_auth_web_login.web_login import WebLoginAuthenticator

__all__ = ["RefreshTokenAuthenticator", "WebLoginAuthenticator"]
