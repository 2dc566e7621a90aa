"""The config file: any bytes are a configuration, or a `ConfigurationError` that says what is wrong with it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from kinetic_auth_core.config.environment import Configuration, VariableLayer, Variables
from kinetic_auth_core.config.files import load_config
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.resolution.inspection import inspect

_VARIABLES = Variables((VariableLayer({"HOST": "acme", "EMPTY": "", "SF_USERNAME": "ada@acme.com"}),))
_MOST_ENVIRONMENTS = 4  # so that one long input does not take all the time
_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-config-")


def seeds() -> Iterator[bytes]:
    """Files as in the documentation, and unusual ones."""
    yield (
        b'default_environment = "dev"\nallowed_plugins = ["kinetic-auth-password", "kinetic-auth-jwt-bearer"]\n'
        b'[defaults]\nlogin_url = "https://${HOST}.my.salesforce.com"\nread_timeout = 5\n'
        b'[environments.dev]\nprovider = "password"\nclient_id = "a"\nclient_secret = "b"\npassword = "env://WORD"\n'
        b'[environments.dev.store]\nname = "file"\npath = "sessions"\n'
        b'[environments.prod]\nprovider = "jwt-bearer"\nclient_id = "${NOT_SET:-x}"\nprivate_key = ["file://k", "x"]\n'
    )
    yield b'[environments.a]\nprovider = "password"\npassword = { value = "${" }\nproxy = "http://u:p@host:99999"\n'
    yield b'[environments.a]\nprovider = "jwt-bearer"\nprivate_key_path = "~nobody/x\\u0000"\ndeadline = nan\n'
    yield b"[environments.a]\nprovider = 'password'\nlogin_budget = 9999999999999999999999\nsession_lifetime = inf\n"
    yield b"[environments.a]\nprovider = 'password'\nread_timeout = 1979-05-27T07:32:00Z\nusername = [[[]]]\n"
    yield b"a = " + b"[" * 3000
    yield b"[environments.a]\nprovider = 'password'\nproxy" + b".a" * 470 + b" = '${HOST}'\n"
    yield b"a." * 3000 + b"b = 1"
    yield b"\xef\xbb\xbf[environments]\n\xff"


def check(data: bytes) -> None:
    """Read a file and resolve its environments.

    Args:
        data: The file.
    """
    path = Path(_FOLDER.name, "kinetic-auth.toml")
    path.write_bytes(data)
    try:
        file = load_config(path, _VARIABLES)
    except ConfigurationError as error:
        assert str(error)
        return
    for environment in [None, *file.environments][:_MOST_ENVIRONMENTS]:
        found = inspect(environment=environment, configuration=Configuration(_VARIABLES, file))
        assert (found.spec is None) == (found.error is not None)
        assert str(found.error)
        assert repr(found)
