"""What in the configuration of a Redis can lose a value that it has confirmed."""

from collections.abc import Mapping

#: The settings of the server that are asked for.
DURABILITY_SETTINGS = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")


def durability_problems(settings: Mapping[str, str], connected: int, replicas: int) -> list[str]:
    """What may lose a value, as ends of sentences that begin with the server.

    Args:
        settings: What `CONFIG GET` has answered; a setting that is missing is not judged.
        connected: How many replicas are connected.
        replicas: How many of them have to confirm a value.
    """
    found = []
    if settings.get("appendonly", "yes") != "yes":
        found.append("appendonly is off, so a restart loses the newest values: set appendonly yes")
    elif settings.get("appendfsync", "always") == "no":
        found.append("appendfsync is no, so a crash of the machine loses the newest values: set everysec or always")
    policy = settings.get("maxmemory-policy", "noeviction")
    if settings.get("maxmemory", "0") != "0" and policy != "noeviction":
        found.append(f"maxmemory-policy is {policy}, which may evict a token: set noeviction")
    if connected and not replicas:
        found.append("it has replicas, and a failover loses what they have not got yet: set replicas (WAIT)")
    return found
