"""kinetic-auth's providers for grants with a refresh token: one that is configured, and one by a login in the browser."""

from kinetic_auth_web_login.refresh_token import RefreshTokenAuthenticator

__all__ = ["RefreshTokenAuthenticator"]
