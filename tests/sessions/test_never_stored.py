"""A provider whose class says `never_stored`: its sessions stay in memory, whatever store is configured."""

from pathlib import Path
from typing import ClassVar

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator


@attrs.frozen
class FromElsewhere(kinetic.GrantAuthenticator):
    """Logs in as an app; its sessions are kept elsewhere."""

    never_stored: ClassVar[bool] = True

    client_id: str = kinetic.setting(help="Consumer Key.")
    client_secret: str = kinetic.setting(help="Consumer Secret.", secret=True, identity=False)

    def grant(self, request: kinetic.LoginRequest) -> dict[str, str]:
        return {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}


@pytest.fixture
def provider(sf: SalesforceEmulator) -> FromElsewhere:
    login = sf.default
    return FromElsewhere(login.client_id, login.client_secret, login_url=sf.url)


def test_the_store_of_the_caller_stays_empty(provider: FromElsewhere, tmp_path: Path) -> None:
    source = kinetic.SessionSource(provider, store=kinetic.FileStore(tmp_path / "store"))
    assert source.session() == source.session()
    assert list(tmp_path.rglob("*.session")) == []


def test_explain_says_that_the_store_is_not_used(provider: FromElsewhere, tmp_path: Path) -> None:
    source = kinetic.SessionSource(provider, store=kinetic.FileStore(tmp_path / "store"))
    (row,) = [row for row in source.explain() if row.name.startswith("store")]
    assert row.value == "memory"
    assert row.note == "FileStore is not used: the sessions of this provider are never stored"


def test_without_a_store_there_is_no_note(provider: FromElsewhere) -> None:
    (row,) = [row for row in kinetic.SessionSource(provider).explain() if row.name == "store"]
    assert (row.value, row.note) == ("memory", "")


def test_each_source_has_a_session_of_its_own(provider: FromElsewhere, tmp_path: Path) -> None:
    store = kinetic.FileStore(tmp_path / "store")
    first, second = (kinetic.SessionSource(provider, store=store).session() for _ in range(2))
    assert first.access_token != second.access_token


def test_a_refusal_of_such_a_provider_is_raised_each_time(sf: SalesforceEmulator, provider: FromElsewhere) -> None:
    source = kinetic.SessionSource(provider)
    sf.refuse("invalid_client", "invalid client credentials", times=2)
    for _ in range(2):
        with pytest.raises(kinetic.CredentialsRejectedError, match="invalid client credentials"):
            source.session()
    assert source.session().is_valid()


def test_a_class_that_says_something_else_is_stored(sf: SalesforceEmulator, tmp_path: Path) -> None:
    @attrs.frozen
    class Stored(FromElsewhere):
        never_stored: ClassVar[bool] = False

    store = kinetic.FileStore(tmp_path / "store")
    source = kinetic.SessionSource(
        Stored(sf.default.client_id, sf.default.client_secret, login_url=sf.url), store=store
    )
    source.session()
    assert list(tmp_path.rglob("*.session"))
