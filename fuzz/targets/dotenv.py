"""A `.env` file: any bytes give variables that are text, or a `ConfigurationError`; `os.environ` does not change."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kinetic_auth_core.config.environment import Variables
from kinetic_auth_core.errors import ConfigurationError

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-dotenv-")


def seeds() -> Iterator[bytes]:
    """Lines of every kind."""
    yield b"SF_CLIENT_ID=key\nexport SF_USERNAME='ada@acme.com' # she\nSF_PASSWORD=\"a\\nb${HOME}\"\n"
    yield b"A=${B:-${C}}\nB\n=\nC='\n'\r\n#\nA=1"
    yield b"\xef\xbb\xbfA=\xff\x00"
    yield b"A=" + b"${" * 200


def check(data: bytes) -> None:
    """Read a file.

    Args:
        data: The file.
    """
    path = Path(_FOLDER.name, ".env")
    path.write_bytes(data)
    before = dict(os.environ)
    try:
        variables = Variables.load(path)
    except ConfigurationError as error:
        assert str(error)
    else:
        for name, value in variables.layers[-1].values.items():
            assert isinstance(name, str)
            assert isinstance(value, str)
        assert variables.layers[-1].path == path
    assert dict(os.environ) == before
