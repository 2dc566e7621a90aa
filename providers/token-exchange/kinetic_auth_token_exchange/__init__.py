"""kinetic-auth's provider for OAuth 2.0 token exchange (RFC 8693), and the key loader `oidc` for its subject tokens."""

from kinetic_auth_token_exchange.authenticator import TokenExchangeAuthenticator
from kinetic_auth_token_exchange.oidc import OidcLoader

__all__ = ["OidcLoader", "TokenExchangeAuthenticator"]
