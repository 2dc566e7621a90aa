"""kinetic-auth's provider for an org that Salesforce's command line `sf` is logged in to."""

from kinetic_auth_sf_cli.authenticator import SfCliAuthenticator

__all__ = ["SfCliAuthenticator"]
