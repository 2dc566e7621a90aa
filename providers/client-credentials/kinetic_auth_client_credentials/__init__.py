"""kinetic-auth's provider for the OAuth 2.0 client credentials flow (RFC 6749, section 4.4)."""

from kinetic_auth_client_credentials.authenticator import ClientCredentialsAuthenticator

__all__ = ["ClientCredentialsAuthenticator"]
