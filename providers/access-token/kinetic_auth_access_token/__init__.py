"""kinetic-auth's provider for an access token that something else has obtained."""

from kinetic_auth_access_token.authenticator import AccessTokenAuthenticator

__all__ = ["AccessTokenAuthenticator"]
