"""`${VAR}` in values: any text is interpolated or rejected, and values of variables are not interpolated again."""

from collections.abc import Iterator

from kinetic_auth_core.config.environment import has_references, interpolate

_VARIABLES = {"HOST": "acme", "EMPTY": "", "TRICK": "${HOST}"}


def seeds() -> Iterator[bytes]:
    """References to variables, and text that looks like one."""
    yield from (b"https://${HOST}/${GONE:-x}", b"${TRICK}${EMPTY:-}", b"${", b"$${HOST}}", b"${A:-${HOST}}", b"${1}")


def check(data: bytes) -> None:
    """Interpolate a text, alone and in a table.

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
