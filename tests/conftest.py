"""Every test starts in an empty folder, without the machine's settings."""

import csv
import io
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinetic_auth_core.testing import KeyPair, SalesforceEmulator, new_key_pair
from kinetic_auth_core.testing.pytest_plugin import leaked_secrets

__all__ = ["leaked_secrets"]  # a fixture from elsewhere

_OURS = ("SF_", "KINETIC_AUTH_", "LOG_", "DEV_SF_", "PROD_SF_")
_AMBIENT = {"ENVIRONMENT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


@pytest.fixture(autouse=True)
def _clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_OURS) or name.upper() in _AMBIENT:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture(scope="session")
def key_pair() -> KeyPair:
    """A key and its certificate, the same for all tests."""
    return new_key_pair()


@pytest.fixture(scope="session")
def _org(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as org:
        yield org


@pytest.fixture
def sf(_org: SalesforceEmulator) -> Iterator[SalesforceEmulator]:
    """An emulated org, shared by all tests: count by differences, and order faults freely."""
    yield _org
    _org.clear_faults()


@pytest.fixture
def works() -> Callable[..., None]:
    """Notes in docs/emulator-clients.csv which operations of a client work with the emulator, for one kind of login.

    `CLIENT_TABLE=write` writes the row; otherwise the table has to have it already, with any version.
    """
    table = Path(__file__).parents[1] / "docs" / "emulator-clients.csv"

    def note(client: str, version: str, login: str, **operations: str) -> None:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = list(reader.fieldnames or ()), {(row["client"], row["login"]): row for row in reader}
        row = {"client": client, "login": login, "log in": "yes", **dict.fromkeys(columns[4:], "")}
        row |= {name.replace("_", " "): text for name, text in operations.items()}
        if os.environ.get("CLIENT_TABLE") == "write":
            rows[client, login] = row | {"version": version}
            with table.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows[key] for key in sorted(rows))
        known = rows.get((client, login), {})
        assert known | {"version": ""} == row | {"version": ""}, "make clients writes docs/emulator-clients.csv"

    return note


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All log lines of every level, with tracebacks."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)
