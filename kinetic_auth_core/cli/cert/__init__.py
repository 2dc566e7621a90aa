"""The commands of `kinetic-auth cert`: keys and certificates."""
