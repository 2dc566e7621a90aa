"""kinetic-auth's provider for the OAuth 2.0 username-password flow (RFC 6749, section 4.3)."""

from kinetic_auth_password.authenticator import OAuthAuthenticator

__all__ = ["OAuthAuthenticator"]
