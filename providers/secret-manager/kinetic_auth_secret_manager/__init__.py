"""kinetic-auth's key loaders for AWS and Azure: `secret-manager://` gives values, `kms://` gives signers.

Neither SDK is imported before a reference names its cloud.
"""

from kinetic_auth_secret_manager.loader import KmsLoader, SecretManagerLoader

__all__ = ["KmsLoader", "SecretManagerLoader"]
