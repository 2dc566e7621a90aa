"""kinetic-auth's key loaders for AWS and Azure: `secret-manager://` returns values, `kms://` returns signers.

An SDK is imported when a reference first names its cloud.
"""

from kinetic_auth_secret_manager.loader import KmsLoader, SecretManagerLoader

__all__ = ["KmsLoader", "SecretManagerLoader"]
