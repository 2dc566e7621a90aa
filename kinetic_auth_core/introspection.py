"""What Salesforce says of a token (RFC 7662)."""

from typing import Any, Self

import attrs


@attrs.frozen
class Introspection:
    """What Salesforce says of a token.

    Attributes:
        active: Whether it is alive. If not, nothing else is told.
        scope: Its scopes, separated by spaces.
        client_id: The app's Consumer Key.
        username: The user.
        sub: The identity URL.
        token_type: Such as `access_token`.
        exp: When it dies if it is not used until then: Unix seconds; None where that is not told.
        iat: When it was issued: Unix seconds.
        nbf: From when on it is good: Unix seconds.
    """

    active: bool
    scope: str | None = None
    client_id: str | None = None
    username: str | None = None
    sub: str | None = None
    token_type: str | None = None
    exp: int | None = None
    iat: int | None = None
    nbf: int | None = None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self | None:
        """Read an answer; None if it is none."""
        if not isinstance(fields.get("active"), bool):
            return None
        texts = ("scope", "client_id", "username", "sub", "token_type")
        numbers = ("exp", "iat", "nbf")
        given: dict[str, Any] = {name: fields[name] for name in texts if isinstance(fields.get(name), str)}
        given |= {name: fields[name] for name in numbers if type(fields.get(name)) is int}
        return cls(fields["active"], **given)
