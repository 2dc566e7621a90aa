"""A reference to a secret: any text is a reference, or the secret itself, or is rejected."""

from collections.abc import Iterator

from kinetic_auth_core.errors import ConfigurationError, KeyLoadError
from kinetic_auth_core.locations import BUILTIN_SCHEMES, KNOWN_SCHEMES, load_builtin, parse_reference

_SCHEMES = {"vault"}


def seeds() -> Iterator[bytes]:
    """References of every scheme."""
    yield from (b"env://NAME#field", b"file://\x00", b"vault://a/b?x=%ff&x=1;y#f#g", b" kms://aws/arn:aws:kms:::key/x ")
    yield from (
        b"secret-manager://aws/prod/sf?region=eu-west-1#key",
        b"env://?",
        b"https://x",
        b"vault://a\n?\xe2\x80\xa8",
    )


def check(data: bytes) -> None:
    """Read a reference.

    Args:
        data: The text.
    """
    text = data.decode(errors="surrogateescape")
    try:
        reference = parse_reference(text, _SCHEMES)
    except ConfigurationError as error:
        assert str(error)
        return
    if reference is None:
        return
    assert reference.scheme in KNOWN_SCHEMES | _SCHEMES
    assert str(reference) == text.strip()
    assert parse_reference(str(reference), _SCHEMES) == reference
    assert hash(reference) == hash(parse_reference(text, _SCHEMES))
    if reference.scheme in BUILTIN_SCHEMES:
        try:
            load_builtin(reference, lambda _: '{"field": "x"}')
        except KeyLoadError as error:
            assert str(error)
