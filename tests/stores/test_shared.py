"""The stores of a pool: equal ones are one, and the last user of one closes it."""

import gc
import logging
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.stores.base import MemoryStore, SharedStores
from kinetic_auth_core.stores.session_cache import SessionCache


@attrs.define(eq=False)
class Counting(MemoryStore):
    place: str = kinetic.setting(default="here", help="Where.")
    key: str | None = kinetic.setting(default=None, help="Its key.", secret=True)
    closed: int = attrs.field(default=0, init=False)

    def close(self) -> None:
        self.closed += 1


def cache_of(stores: SharedStores, **settings: Any) -> tuple[SessionCache, Any]:
    """A source's entry, and the store that it has opened."""
    cache = SessionCache("name", lambda: Counting(**settings), 7200.0, None, stores=stores)
    return cache, cache.opened_store()


def test_equal_stores_are_one_and_the_last_user_closes_it() -> None:
    stores = SharedStores()
    (first, store), (second, same) = cache_of(stores, key="k"), cache_of(stores, key="k")
    assert same is store
    first.close()
    first.close()
    assert (store.closed, second.opened_store()) == (0, store)
    second.close()
    assert store.closed == 1
    assert second.opened_store() is not store  # the next use opens one


@pytest.mark.parametrize("other", [{"place": "there"}, {"key": "another"}])
def test_stores_with_different_settings_stay_apart(other: dict[str, str]) -> None:
    stores = SharedStores()
    kept = [cache_of(stores, key="k"), cache_of(stores, **{"key": "k", **other})]
    assert kept[0][1] is not kept[1][1]


def test_a_store_whose_users_are_gone_without_closing_it_is_closed_by_the_next_one() -> None:
    stores = SharedStores()
    cache, store = cache_of(stores)
    del cache
    gc.collect()
    kept = cache_of(stores)
    assert store.closed == 1
    assert kept[1] is not store


def test_all_can_be_closed_also_those_that_are_in_use() -> None:
    stores = SharedStores()
    kept = [cache_of(stores, place=place) for place in "ab"]
    stores.close_all()
    assert [store.closed for _, store in kept] == [1, 1]
    kept[0][0].close()
    assert kept[0][1].closed == 1


def test_a_store_that_raises_when_it_is_closed_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(Counting):
        def close(self) -> None:
            raise OSError("secret")

    cache = SessionCache("name", Stubborn, 7200.0, None)
    cache.opened_store()
    cache.close()
    found = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert found == ["close() of Stubborn raised OSError"]


def test_a_store_without_a_schema_is_for_one_user() -> None:
    class Bare(kinetic.SessionStore):
        def get(self, key: str) -> None: ...
        def put(self, key: str, value: bytes, *, expires_in_s: float, generation: int | None = None) -> int | None: ...
        def delete(self, key: str, *, generation: int | None = None) -> bool:
            return False

        def acquire(self, key: str, holder: str, *, expires_in_s: float) -> bool:
            return True

        def release(self, key: str, holder: str) -> None: ...

    stores = SharedStores()
    first, second = (SessionCache("name", Bare, 7200.0, None, stores=stores) for _ in range(2))
    assert first.opened_store() is not second.opened_store()
