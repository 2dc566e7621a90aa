"""A token in a file, which somebody else renews: a service account token that Kubernetes projects into a pod."""

import os
import stat

import attrs

from kinetic_auth_core.plugins import raise_interruption
from kinetic_auth_token_exchange.problems import Problem

MAX_BYTES = 1024 * 1024


@attrs.frozen
class Content:
    """What a file holds, kept out of reprs and of the locals that a traceback shows."""

    value: bytes = attrs.field(repr=False)


def pod_spec(path: str, audience: str) -> str:
    """What to write into a pod's spec, so that the token is there.

    Args:
        path: The file's path.
        audience: The token's audience.
    """
    folder, _, name = path.rpartition("/")
    source = f"{{serviceAccountToken: {{path: {name}, audience: {audience!r}, expirationSeconds: 3600}}}}"
    return (
        f"In the pod's spec write the volume {{name: salesforce-token, projected: {{sources: [{source}]}}}} and in the "
        f"container's volumeMounts {{name: salesforce-token, mountPath: {folder}, readOnly: true}}."
    )


def read(path: str, audience: str) -> Content | Problem:
    """Read the file, as it is now.

    Args:
        path: Its absolute path.
        audience: The token's audience, for the remedy.

    Returns:
        What it holds; or why it cannot be read.
    """
    remedy = pod_spec(path, audience)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe does not keep us waiting
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Problem(f"{path} is not a file", remedy)
            content = Content(file.read(MAX_BYTES + 1))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise_interruption(error)
        return Problem(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", remedy)
    if len(content.value) > MAX_BYTES:
        return Problem(f"{path} is larger than {MAX_BYTES} bytes", remedy)
    return content if content.value.strip() else Problem(f"{path} is empty", remedy)
