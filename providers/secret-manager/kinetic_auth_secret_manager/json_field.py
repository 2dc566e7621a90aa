"""One field of a secret that is a JSON object."""

import json

from kinetic_auth_secret_manager.problems import Problem, Secret

_WHOLE = "or leave #... out to take the whole secret"


def field_of(secret: Secret, field: str | None) -> Secret | Problem:
    """Take a field out of a secret.

    Args:
        secret: As the vault gave it.
        field: The name behind `#` of the reference; None takes the whole.

    Returns:
        The field's text, or what is wrong. Nothing is raised: the secret would be among a traceback's locals.
    """
    if field is None:
        return secret
    try:
        parsed = json.loads(secret.value)
    except (ValueError, RecursionError):
        return Problem("the secret is not JSON, so it has no fields", f"Store a JSON object there, {_WHOLE}.")
    if not isinstance(parsed, dict):
        return Problem("the secret is JSON, but no object with fields", f"Store a JSON object there, {_WHOLE}.")
    if field not in parsed:
        # Only how many there are: a secret stored the wrong way round has its value for a name.
        return Problem(
            f"the secret has no field {field!r} among its {len(parsed)}", f"Correct the name behind #, {_WHOLE}."
        )
    text = parsed[field]
    if not isinstance(text, str):
        return Problem(f"the field {field!r} of the secret is not text", "Store it as a JSON string.")
    try:
        return Secret(text.encode())
    except UnicodeEncodeError:
        return Problem(f"the field {field!r} of the secret is no valid text", "Store it anew.")
