"""One field of a secret that is a JSON object."""

import json

from kinetic_auth_secret_manager.problems import Problem, Secret

_WHOLE = "or omit #... to use the whole secret"


def field_of(secret: Secret, field: str | None) -> Secret | Problem:
    """Extract a field of a secret.

    Args:
        secret: As the vault gave it.
        field: The name after `#` in the reference; None for the whole secret.

    Returns:
        The field's text, or the problem. Not raised: the secret would be among a traceback's locals.
    """
    if field is None:
        return secret
    try:
        parsed = json.loads(secret.value)
    except (ValueError, RecursionError):
        return Problem("the secret is not JSON, so it has no fields", f"Store a JSON object there, {_WHOLE}.")
    if not isinstance(parsed, dict):
        return Problem("the secret is JSON but not an object with fields", f"Store a JSON object there, {_WHOLE}.")
    if field not in parsed:
        # Only their number: if name and value were swapped, the name is the secret.
        return Problem(
            f"the secret has no field {field!r} among its {len(parsed)}", f"Correct the name after #, {_WHOLE}."
        )
    text = parsed[field]
    if not isinstance(text, str):
        return Problem(f"the field {field!r} of the secret is not text", "Store it as a JSON string.")
    try:
        return Secret(text.encode())
    except UnicodeEncodeError:
        return Problem(f"the field {field!r} of the secret is not valid text", "Store it again.")
