"""kinetic-auth's provider for the OAuth 2.0 JWT bearer flow (RFC 7523)."""

from kinetic_auth_jwt_bearer.authenticator import JWTAuthenticator

__all__ = ["JWTAuthenticator"]
