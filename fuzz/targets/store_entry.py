"""An entry of a store: any bytes are a valid entry, or damage that is reported without quoting it."""

import hashlib
import time
from collections.abc import Iterator

from kinetic_auth_core.locations import url_problem
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.stores.base import MemoryStore
from kinetic_auth_core.stores.file import DamagedEntryError, Entry, Lease
from kinetic_auth_core.stores.session_cache import SessionCache

_STORE = MemoryStore()
_SHELF = SessionCache("key", lambda: _STORE, 7200.0, None)
_SESSION = (
    b'{"form": 1, "born_at": 1700000000.0, "access_token": "t", "instance_url": "https://a.my.salesforce.com", '
    b'"id": "x", "issued_at": "0", "api_version": "v62.0"}'
)


def seeds() -> Iterator[bytes]:
    """A session, an entry, a lease, and damaged ones."""
    yield _SESSION
    yield _SESSION.replace(b"1700000000.0", b"1e400").replace(b"v62.0", b"62")
    yield b'{"form": 1, "generation": 3, "expires_at": 1e12}\n' + _SESSION
    yield b'{"form": 1, "generation": "3"}\n'
    yield Lease("me", 1.0, 15.0).encoded()
    yield b"[" * 2000


def check(data: bytes) -> None:
    """Read an entry, a lease and a session.

    Args:
        data: The bytes.
    """
    for content in (data, hashlib.sha256(data).hexdigest().encode() + b"\n" + data):
        try:
            entry = Entry.decoded(content)
        except DamagedEntryError as error:
            assert str(error) in {"it is truncated or was changed", "it has another format"}
        else:
            assert Entry.decoded(entry.encoded()) == entry
            assert entry.generation >= 0
            assert entry.expires_at <= time.time() or entry.expires_at > 0
    lease = Lease.decoded(data)
    if lease is not None:
        assert lease.is_held(time.time()) in {True, False}
    _STORE.put("key", data, expires_in_s=60.0)
    cached = _SHELF.read()
    if cached is not None:
        assert isinstance(cached.session, SalesforceSession)
        assert cached.session.is_valid()
        assert url_problem(cached.session.instance_url) is None
        assert cached.freshness()
