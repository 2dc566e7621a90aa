"""What the demo plays on: an emulated org, a key pair, and a deployment's files in a temporary folder."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from kinetic_auth_core.cli.extras import load_testing
from kinetic_auth_core.redaction import MASK

# What could reach into the demo's logins from outside.
_AMBIENT = re.compile(r"(.*_)?SF_.*|ENVIRONMENT|KINETIC_AUTH_.*|.*_PROXY|(REQUESTS|CURL)_CA_BUNDLE", re.IGNORECASE)

_CONFIG = """\
default_environment = "dev"

[defaults]
login_url = "{url}"
client_id = "{client_id}"

[environments.dev]             # a user's password; the secrets are in .env
provider = "password"
username = "dev@acme.example"
password = "${{DEV_PASSWORD}}"

[environments.prod]            # a signed assertion; no password, no secret on the wire
provider = "jwt-bearer"
username = "integration@acme.example"
private_key_path = "server.key"
"""


@attrs.frozen
class Stage:
    """Where the demo plays.

    Attributes:
        org: The emulator, running.
        folder: The deployment's folder: `kinetic-auth.toml`, `.env`, `server.key`, `server.crt`, `other.key`.
    """

    org: Any
    folder: Path

    @property
    def config(self) -> Path:
        """The config file."""
        return self.folder / "kinetic-auth.toml"

    @property
    def env_file(self) -> Path:
        """The `.env` file."""
        return self.folder / ".env"

    def masked_env(self) -> str:
        """The `.env` file's text with its values masked."""
        return re.sub(r"=.*", f"={MASK}", self.env_file.read_text("utf-8"))

    def short(self, text: object) -> Any:
        """Text with paths relative to the folder; anything else as it is."""
        return text.replace(f"{self.folder}{os.sep}", "") if isinstance(text, str) else text


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Set everything up, and take it away afterwards.

    Raises:
        ConfigurationError: The extra `testing` is not installed.
    """
    testing = load_testing()
    with (
        _undisturbed(),
        tempfile.TemporaryDirectory(prefix="kinetic-auth-demo-") as folder,
        testing.SalesforceEmulator() as org,
    ):
        built = Stage(org, Path(folder).resolve())
        _furnish(built, testing.new_key_pair(), testing.new_key_pair())
        yield built


def _furnish(built: Stage, keys: Any, other_keys: Any) -> None:
    """Two users who are approved for one app and a third who is not; the deployment's files."""
    dev = built.org.add_user("dev@acme.example")
    integration = built.org.add_user("integration@acme.example")
    built.org.add_user("newcomer@acme.example")
    app = built.org.add_app(
        "3MVG9.ConsumerKeyOfTheDemo",
        certificates=[keys.certificate_pem],
        preauthorised=[dev.username, integration.username],
        scopes=["api", "id"],
    )
    _write(built.folder / "server.key", keys.private_key_pem)
    _write(built.folder / "server.crt", keys.certificate_pem)
    _write(built.folder / "other.key", other_keys.private_key_pem)
    _write(built.config, _CONFIG.format(url=built.org.url, client_id=app.client_id))
    _write(
        built.env_file,
        f"DEV_PASSWORD={dev.password}\n"
        f"DEV_SF_SECURITY_TOKEN={dev.security_token}\n"
        f"DEV_SF_CLIENT_SECRET={app.client_secret}\n",
    )


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Take variables that would have a say in a login out of the process's environment, for a while."""
    before = dict(os.environ)
    for name in [*filter(_AMBIENT.fullmatch, before), "DEV_PASSWORD"]:
        os.environ.pop(name, None)
    os.environ["NO_PROXY"] = "127.0.0.1"  # nor a proxy of the system's settings
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
