"""`${VAR}` in values: any text is put together or refused, and what came out of a variable is not looked at again."""

from collections.abc import Iterator

from kinetic_auth_core.config.variables import has_references, interpolate

_VARIABLES = {"HOST": "acme", "EMPTY": "", "TRICK": "${HOST}"}


def seeds() -> Iterator[bytes]:
    """What is a reference, and what only looks like one."""
    yield from (b"https://${HOST}/${GONE:-x}", b"${TRICK}${EMPTY:-}", b"${", b"$${HOST}}", b"${A:-${HOST}}", b"${1}")


def check(data: bytes) -> None:
    """Put variables into a text, alone and inside of a table.

    Args:
        data: The text.
    """
    text = data.decode(errors="replace")
    try:
        put_in = interpolate(text, _VARIABLES.get)
    except ValueError as error:
        assert str(error)
        assert "${" in text
        return
    assert put_in == text or has_references(text)
    assert interpolate({"a": [text, 1]}, _VARIABLES.get) == {"a": [put_in, 1]}
    assert interpolate("${IT}", {"IT": put_in}.get) == put_in
