"""The memory store fulfils the contract of stores."""

import pytest

from kinetic_auth_core.stores.base import MemoryStore
from kinetic_auth_core.testing import SessionStoreContract


class TestMemoryStore(SessionStoreContract):
    @pytest.fixture(autouse=True)
    def _one_place_for_the_test(self) -> None:
        self._place = MemoryStore()

    def make_store(self) -> MemoryStore:
        return self._place


def test_expired_values_are_removed() -> None:
    store = MemoryStore()
    for number in range(1000):
        store.put(str(number), b"", expires_in_s=0)
    assert len(store._values) < 100
