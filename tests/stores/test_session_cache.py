"""A source's entry in a third-party store that raises, is slow, or contains an invalid session."""

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.session import CachedSession
from kinetic_auth_core.stores.session_cache import SessionCache

KEY = "0123456789abcdef"
SESSION = {
    "access_token": "00D!canary-token",
    "instance_url": "https://acme.my.salesforce.com",
    "id": "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA",
    "issued_at": "1700000000000",
}


@attrs.define(eq=False)
class FlakyStore(kinetic.SessionStore):
    """A third-party store that calls `trouble` before each operation."""

    password: str = kinetic.setting("canary-password", help="Of the server.", secret=True)
    trouble: Callable[[], object] | None = attrs.field(init=False, default=None)
    calls: list[str] = attrs.field(init=False, factory=list)
    kept: kinetic.MemoryStore = attrs.field(init=False, factory=kinetic.MemoryStore)

    def get(self, key: str) -> kinetic.StoredValue | None:
        self._begin("get")
        return self.kept.get(key)

    def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None:
        self._begin("put")
        return self.kept.put(key, value, expires_in_s=expires_in_s, generation=generation)

    def delete(self, key: str, *, generation: int | None = None) -> bool:
        self._begin("delete")
        return self.kept.delete(key, generation=generation)

    def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
        self._begin("acquire")
        return self.kept.acquire(key, holder, expires_in_s=expires_in_s)

    def release(self, key: str, holder: str) -> None:
        self._begin("release")
        self.kept.release(key, holder)

    def close(self) -> None:
        self._begin("close")

    def _begin(self, operation: str) -> None:
        self.calls.append(operation)
        if self.trouble is not None:
            self.trouble()

    def fail_with(self, error: Exception) -> None:
        def fail() -> None:
            raise error

        self.trouble = fail


@pytest.fixture
def store() -> FlakyStore:
    return FlakyStore()


@pytest.fixture
def session_cache(store: FlakyStore) -> SessionCache:
    return SessionCache(KEY, lambda: store, 7200.0, None)


def cached(token: str = "00D!canary-token", born_at: float | None = None) -> CachedSession:
    session = kinetic.SalesforceSession(**{**SESSION, "access_token": token})
    return CachedSession.of(session, 7200.0, born_at=born_at)


def token_in(session_cache: SessionCache) -> str | None:
    found = session_cache.read()
    return found.session.access_token if found else None


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def test_a_stored_session_is_returned_unchanged(session_cache: SessionCache) -> None:
    kept = cached()
    session_cache.write(kept)
    found = session_cache.read()
    assert found is not None
    assert (found.session, found.born_at) == (kept.session, kept.born_at)


def test_a_newer_session_is_not_replaced_by_an_older_one(session_cache: SessionCache) -> None:
    session_cache.write(cached("young"))
    session_cache.write(cached("old", born_at=time.time() - 60))
    assert token_in(session_cache) == "young"
    session_cache.write(cached("younger"))
    assert token_in(session_cache) == "younger"


def test_an_expired_session_is_not_stored(session_cache: SessionCache, store: FlakyStore) -> None:
    session_cache.write(cached(born_at=time.time() - 7200))
    assert "put" not in store.calls


def test_only_the_named_session_is_removed(session_cache: SessionCache) -> None:
    session_cache.write(cached("living"))
    session_cache.forget(cached("dead").session)
    assert token_in(session_cache) == "living"
    session_cache.forget(cached("living").session)
    assert session_cache.read() is None


def test_an_outage_is_logged_once_and_the_process_continues_with_its_own_memory(
    session_cache: SessionCache, store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.fail_with(ConnectionError("no route to cache.internal with canary-password"))
    lease = session_cache.acquire("me")
    assert lease
    session_cache.write(cached())
    session_cache.release(lease)
    assert token_in(session_cache) == "00D!canary-token"
    session_cache.change_notes(bytes.hex, lambda _key, _before: b"[]", 60)
    assert [value for _, value in session_cache.read_notes(bytes.hex)] == [b"[]", b"[]"]
    assert store.calls == ["acquire"]  # and is left alone from then on
    (warning,) = warnings(caplog)
    assert warning.startswith("the session store failed (acquire); this process goes on with its own memory")
    assert "no route to cache.internal with ********" in warning
    assert "canary" not in caplog.text


def test_a_store_that_answers_again_is_used_again(
    session_cache: SessionCache, store: FlakyStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(SessionCache, "outage_pause_s", 0.3)
    session_cache.write(cached("before"))
    store.fail_with(TimeoutError("timed out"))
    assert session_cache.read() is None
    session_cache.write(cached("meanwhile"))
    assert token_in(session_cache) == "meanwhile"
    store.trouble = None
    began = time.monotonic()
    while token_in(session_cache) != "before":
        assert time.monotonic() - began < 10
        threading.Event().wait(0.02)
    assert len(warnings(caplog)) == 1
    assert caplog.messages[-1] == "the session store answers again"
    store.fail_with(TimeoutError("timed out"))
    session_cache.read()
    assert len(warnings(caplog)) == 2


def test_a_lease_is_released_in_the_store_that_granted_it(session_cache: SessionCache, store: FlakyStore) -> None:
    lease = session_cache.acquire("me")
    assert lease
    store.fail_with(OSError("disk full"))
    session_cache.write(cached())
    store.trouble = None
    session_cache.release(lease)
    assert store.kept.acquire(KEY, "you", expires_in_s=60)
    assert session_cache.acquire("another thread")  # in our own memory, because the store is not asked


def test_a_failed_release_is_logged(
    session_cache: SessionCache, store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    lease = session_cache.acquire("me")
    assert lease
    store.fail_with(OSError("disk full"))
    session_cache.release(lease)
    assert warnings(caplog)[0].startswith("the session store failed (release)")


def test_a_caller_waiting_for_a_slow_store_does_not_block_others(
    session_cache: SessionCache, store: FlakyStore
) -> None:
    session_cache.write(cached())
    entered, over = threading.Event(), threading.Event()

    def hang_once() -> None:
        store.trouble = None
        entered.set()
        assert over.wait(30)

    store.trouble = hang_once
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(token_in, session_cache)
        assert entered.wait(30)
        assert token_in(session_cache) == "00D!canary-token"
        assert not slow.done()
        over.set()
        assert slow.result() == "00D!canary-token"


def test_a_kinetic_auth_error_keeps_its_remedy(
    session_cache: SessionCache, store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.fail_with(kinetic.ConfigurationError("the folder is open.", remedy="chmod 700 /var/sessions"))
    assert session_cache.read() is None
    assert warnings(caplog)[0].endswith("the folder is open. Remedy: chmod 700 /var/sessions")


def test_invalid_store_settings_are_an_error_and_not_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> kinetic.SessionStore:
        raise kinetic.ConfigurationError("the url has no host")

    with pytest.raises(kinetic.ConfigurationError, match="the url has no host"):
        SessionCache(KEY, fail, 7200.0, None).read()
    assert warnings(caplog) == []


def test_a_store_whose_secret_cannot_be_loaded_is_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> kinetic.SessionStore:
        raise kinetic.KeyLoadError("the vault does not answer")

    assert SessionCache(KEY, fail, 7200.0, None).read() is None
    assert "the vault does not answer" in warnings(caplog)[0]


def test_a_failing_class_without_attrs_is_an_outage_as_well(caplog: pytest.LogCaptureFixture) -> None:
    class Bare(kinetic.SessionStore):
        def get(self, key: str) -> Any:
            raise OSError("out of order")

        put: Any = get
        delete: Any = get
        acquire: Any = get
        release: Any = get

    assert SessionCache(KEY, Bare, 7200.0, None).read() is None
    assert "OSError: out of order" in warnings(caplog)[0]


def test_an_error_on_closing_a_store_breaks_nothing(
    session_cache: SessionCache, store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    session_cache.close()
    assert store.calls == []
    session_cache.write(cached())
    store.fail_with(OSError("canary-password"))
    session_cache.close()
    assert warnings(caplog) == ["close() of FlakyStore raised OSError"]
    store.trouble = None
    assert token_in(session_cache) == "00D!canary-token"


def kept_as(**fields: Any) -> bytes:
    return json.dumps({"form": 2, "name": KEY, "born_at": time.time(), **SESSION, **fields}).encode()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b" " * 100_001, "too long"),
        (b"[]", "another form"),
        (kept_as(form=1), "another form"),
        (kept_as(born_at=None), "no date"),
        (kept_as(born_at=True), "no date"),
        (kept_as(born_at=10**400), "no date"),
        (kept_as(access_token=None), "fields are missing"),
        (kept_as(access_token="two lines\r\nX: y"), "no token"),
        (kept_as(access_token=""), "no token"),
        (kept_as(instance_url="http://evil.example"), "its instance_url "),
        (kept_as(instance_url="https://user@evil.example"), "its instance_url "),
        (kept_as(api_version="00D!"), "its API version is not valid"),
    ],
    ids=lambda given: given if isinstance(given, str) else "entry",  # its date would be another one in each worker
)
def test_an_invalid_stored_session_is_ignored_and_not_quoted(
    session_cache: SessionCache, store: FlakyStore, raw: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.kept.put(KEY, raw, expires_in_s=60)
    assert session_cache.read() is None
    (warning,) = warnings(caplog)
    assert warning.startswith("ignoring an invalid session in the session store (")
    assert why in warning
    assert "00D!" not in caplog.text
    session_cache.write(cached("new"))
    assert token_in(session_cache) == "new"


def test_fields_of_a_later_version_are_ignored(session_cache: SessionCache, store: FlakyStore) -> None:
    store.kept.put(KEY, kept_as(invented_later="x", scope=7), expires_in_s=60)
    assert token_in(session_cache) == "00D!canary-token"


_NAMES = st.sampled_from([*SESSION, "form", "born_at", "tag", "at", "error", "status"]) | st.text(max_size=5)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(_NAMES, inner), max_leaves=6)


@given(st.binary(max_size=300) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_stored_values_do_not_raise(raw: bytes) -> None:
    store = kinetic.MemoryStore()
    session_cache = SessionCache(KEY, lambda: store, 7200.0, "v61.0")
    store.put(KEY, raw, expires_in_s=60)
    store.put(f"{KEY}.refused", raw, expires_in_s=60)
    assert session_cache.read() is None
    session_cache.forget(cached().session)
    session_cache.write(cached())
    assert token_in(session_cache) == "00D!canary-token"


_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        name: st.text() | st.integers() | st.floats() | st.none()
        for name in [*(each.name for each in attrs.fields(kinetic.SalesforceSession)), "form", "name", "born_at"]
    },
)


@given(_FIELDS)
def test_damaged_stored_sessions_do_not_raise(fields: dict[str, Any]) -> None:
    store = kinetic.MemoryStore()
    store.put(KEY, kept_as(**fields), expires_in_s=60)
    found = SessionCache(KEY, lambda: store, 7200.0, None).read()
    if found is not None:
        assert found.session.auth_header["Authorization"].isascii()
        found.freshness()


@pytest.mark.parametrize("answer", [b"bytes", 7, "text"])
def test_a_wrong_type_returned_by_a_store_is_an_outage(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(FlakyStore):
        def get(self, key: str) -> Any:
            return answer

    session_cache = SessionCache(KEY, Odd, 7200.0, None)
    assert session_cache.read() is None
    assert session_cache.read_notes(lambda _key: "nobody") == []
    assert warnings(caplog)[0].startswith("the session store failed (get)")


def test_a_store_whose_naming_key_is_text_is_left_alone_and_named(caplog: pytest.LogCaptureFixture) -> None:
    class TextKey(FlakyStore):
        def naming_key(self) -> Any:
            return "text-instead-of-bytes"

    @attrs.frozen
    class Provider:
        @kinetic.hookimpl
        def authenticate(self) -> kinetic.SalesforceSession:
            return kinetic.SalesforceSession(**SESSION)

    source = kinetic.SessionSource(Provider(), store=TextKey())
    assert source.session() is source.session()
    assert "naming_key() of TextKey returned str instead of bytes" in caplog.text
