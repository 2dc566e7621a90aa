"""One login: what to log in with, the provider's instance, its credentials, and the limits on logging in."""
