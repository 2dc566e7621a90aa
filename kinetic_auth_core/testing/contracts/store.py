"""A test suite for session stores: the behaviour that `kinetic_auth_core` relies on.

It uses only the methods of a store. The docstrings of `kinetic_auth_core.SessionStore` describe the contract.
"""

import abc
import contextlib
import functools
import os
import signal
import time
import uuid
from collections.abc import Iterator
from typing import Any

from kinetic_auth_core.testing.contracts.checks import THREADS, at_once, expect, forked, in_a_child, until


def read(store: Any, key: str) -> tuple[bytes, int] | None:
    """The value and generation that a handle reads."""
    found = store.get(key)
    return None if found is None else (found.value, found.generation)


_BRIEFLY_S = 0.1
_PROCESSES = 6
_NOT_STORED = 3  # the exit code of a child
_LONG_S = 600.0


class SessionStoreContract(abc.ABC):
    """Subclass it with a name that pytest collects, define `make_store`, inherit every test.

        class TestMyStore(SessionStoreContract):
            def make_store(self):
                return MyStore("/var/lib/mine")

    Each test uses its own keys, so a place may be shared between tests.

    A store that says `durable = True` is tested for that, too: what `put` has stored outlives the process that stored
    it, and a store that fails raises instead of pretending. What a loss of power leaves cannot be tested here.

    Attributes:
        shared: Whether other processes see what is stored. Then the child of a `fork` is tested too.
    """

    shared = False

    def make_broken_store(self) -> Any:
        """Return a handle on a place that cannot be reached or written; None: there is no such place to test."""
        return None

    @abc.abstractmethod
    def make_store(self) -> Any:
        """Return a new handle on the tested place; every call within a test must use the same place.

        For a store in this process's memory return the same object within a test.
        """

    @contextlib.contextmanager
    def _store(self) -> Iterator[tuple[Any, str]]:
        """A handle, closed at the end, and an unused key."""
        with contextlib.closing(self.make_store()) as store:
            yield store, uuid.uuid4().hex

    def test_under_a_new_key_there_is_nothing(self) -> None:
        with self._store() as (store, key):
            expect(store.get(key) is None, "get() of a new key is not None")
            expect(store.delete(key) is False, "delete() of nothing is not False")
            expect(store.delete(key, generation=1) is False, "delete() of a generation of nothing is not False")

    def test_what_was_put_is_there_for_every_handle(self) -> None:
        with self._store() as (store, key), contextlib.closing(self.make_store()) as other:
            generation = store.put(key, b"value", expires_in_s=_LONG_S)
            expect(isinstance(generation, int) and generation >= 1, "put() did not return a generation from 1")
            for handle in (store, other):
                expect(read(handle, key) == (b"value", generation), "get() did not return what was put")

    def test_values_are_bytes_of_any_kind_and_100_kb_long(self) -> None:
        every_byte = bytes(range(256))
        with self._store() as (store, key):
            for value in (b"", b"\0", b"\r\n\n", b"\xff\xfe", every_byte, every_byte * 400):
                store.put(key, value, expires_in_s=_LONG_S)
                expect(store.get(key).value == value, f"a value of {len(value)} bytes was changed")

    def test_keys_are_kept_apart(self) -> None:
        with self._store() as (store, stem):
            longest = stem + "0" * (100 - len(stem))
            keys = [
                stem,
                *(f"{stem}{end}" for end in ("A", ".refused", "_", "-", ".", "..")),
                longest,
                longest[:-1] + "1",
            ]
            for key in keys:
                expect(store.put(key, key.encode(), expires_in_s=_LONG_S, generation=0), f"{key} was not new")
            for key in keys:
                expect(store.get(key).value == key.encode(), f"get({key!r}) returned the value of another key")
            store.delete(stem)
            expect(store.get(keys[1]) is not None, "delete() removed the value of another key")

    def test_a_second_value_replaces_the_first_and_has_a_higher_generation(self) -> None:
        with self._store() as (store, key):
            first = store.put(key, b"first", expires_in_s=_LONG_S)
            second = store.put(key, b"second", expires_in_s=_LONG_S)
            expect(second > first, "generations do not increase")
            expect(read(store, key) == (b"second", second), "get() did not return the last value")

    def test_a_put_for_a_generation_replaces_that_one_alone(self) -> None:
        with self._store() as (store, key):
            first = store.put(key, b"first", expires_in_s=_LONG_S, generation=0)
            expect(
                store.put(key, b"x", expires_in_s=_LONG_S, generation=0) is None, "put(generation=0) replaced a value"
            )
            second = store.put(key, b"second", expires_in_s=_LONG_S, generation=first)
            expect(second, "put() for the current generation did nothing")
            expect(
                store.put(key, b"x", expires_in_s=_LONG_S, generation=first) is None, "a stale put() was not rejected"
            )
            expect(read(store, key) == (b"second", second), "a rejected put() changed the value")

    def test_a_put_for_a_generation_of_nothing_stores_nothing(self) -> None:
        with self._store() as (store, key):
            expect(store.put(key, b"x", expires_in_s=_LONG_S, generation=1) is None, "put() replaced a missing value")
            expect(store.get(key) is None, "a rejected put() changed the value")

    def test_a_delete_for_a_generation_takes_that_one_alone(self) -> None:
        with self._store() as (store, key):
            first = store.put(key, b"first", expires_in_s=_LONG_S)
            second = store.put(key, b"second", expires_in_s=_LONG_S)
            expect(store.delete(key, generation=first) is False, "a stale delete() was not rejected")
            expect(store.delete(key, generation=second) is True, "delete() for the current generation is not True")
            expect(store.get(key) is None, "a deleted value still exists")

    def test_a_generation_does_not_come_back_after_a_delete(self) -> None:
        with self._store() as (store, key):
            stale: set[int] = set()
            for round_ in range(5):
                new = store.put(key, b"%d" % round_, expires_in_s=_LONG_S, generation=0)
                expect(new not in stale, "a generation was used twice")
                for generation in stale:
                    refused = store.put(key, b"stale", expires_in_s=_LONG_S, generation=generation) is None
                    expect(refused, "a stale put() after delete() and put() was not rejected")
                    expect(store.delete(key, generation=generation) is False, "a stale delete() was not rejected")
                stale.add(new)
                expect(store.delete(key) is True, "delete() of an existing value is not True")

    def test_a_value_is_gone_after_its_time_and_not_before(self) -> None:
        with self._store() as (store, key):
            began = time.monotonic()
            generation = store.put(key, b"value", expires_in_s=_BRIEFLY_S)
            until(lambda: store.get(key) is None, "a value did not expire")
            expect(time.monotonic() - began > _BRIEFLY_S * 0.9, "a value expired too early")
            expect(store.delete(key) is False, "delete() of an expired value is not False")
            stale = store.put(key, b"x", expires_in_s=_LONG_S, generation=generation)
            expect(stale is None, "put() for an expired generation was not rejected")
            new = store.put(key, b"new", expires_in_s=_LONG_S, generation=0)
            expect(new is not None, "put(generation=0) was rejected although the value had expired")
            expect(new != generation, "a generation was used twice")

    def test_a_second_value_has_a_time_of_its_own(self) -> None:
        with self._store() as (store, key):
            store.put(key, b"short", expires_in_s=_BRIEFLY_S)
            store.put(key, b"long", expires_in_s=_LONG_S)
            store.put(f"{key}.clock", b"", expires_in_s=_BRIEFLY_S)
            until(lambda: store.get(f"{key}.clock") is None, "a value did not expire")
            expect(store.get(key) is not None, "a value expired together with the one it had replaced")

    def test_one_holder_at_a_time_has_the_lease(self) -> None:
        with self._store() as (store, key), contextlib.closing(self.make_store()) as other:
            expect(store.acquire(key, "a", expires_in_s=_LONG_S) is True, "a free lease was not granted")
            expect(other.acquire(key, "b", expires_in_s=_LONG_S) is False, "a lease was granted twice")
            expect(store.acquire(f"{key}.other", "b", expires_in_s=_LONG_S) is True, "two keys share a lease")
            store.release(key, "a")
            expect(other.acquire(key, "b", expires_in_s=_LONG_S) is True, "a released lease is not free")

    def test_the_holder_may_take_its_lease_again_and_that_prolongs_it(self) -> None:
        with self._store() as (store, key):
            store.acquire(key, "a", expires_in_s=_BRIEFLY_S)
            expect(store.acquire(key, "a", expires_in_s=_LONG_S) is True, "the holder could not renew its lease")
            store.acquire(f"{key}.clock", "a", expires_in_s=_BRIEFLY_S)
            free = lambda: store.acquire(f"{key}.clock", "b", expires_in_s=_LONG_S)  # noqa: E731 - one use
            until(free, "a lease did not expire")
            expect(store.acquire(key, "b", expires_in_s=_LONG_S) is False, "a lease was not renewed")

    def test_a_lease_is_free_after_its_time_and_not_before(self) -> None:
        with self._store() as (store, key):
            began = time.monotonic()
            store.acquire(key, "a", expires_in_s=_BRIEFLY_S)
            until(lambda: store.acquire(key, "b", expires_in_s=_LONG_S), "a lease did not expire")
            expect(time.monotonic() - began > _BRIEFLY_S * 0.9, "a lease expired too early")
            store.release(key, "a")
            expect(
                store.acquire(key, "c", expires_in_s=_LONG_S) is False, "a former holder released the lease of another"
            )

    def test_only_the_holder_releases_a_lease(self) -> None:
        with self._store() as (store, key):
            store.release(key, "nobody")
            store.acquire(key, "a", expires_in_s=_LONG_S)
            store.release(key, "b")
            expect(
                store.acquire(key, "c", expires_in_s=_LONG_S) is False,
                "a lease was released by another than its holder",
            )

    def test_a_lease_and_a_value_do_not_touch_each_other(self) -> None:
        with self._store() as (store, key):
            store.acquire(key, "a", expires_in_s=_LONG_S)
            expect(store.get(key) is None, "a lease is read as a value")
            generation = store.put(key, b"value", expires_in_s=_LONG_S, generation=0)
            expect(generation is not None, "the lease of another prevented a put()")
            store.release(key, "a")
            expect(store.get(key) is not None, "release() removed the value")
            store.acquire(key, "a", expires_in_s=_LONG_S)
            store.delete(key)
            expect(store.acquire(key, "b", expires_in_s=_LONG_S) is False, "delete() removed the lease")

    def test_of_many_threads_that_replace_one_generation_one_wins(self) -> None:
        with self._store() as (store, key):
            generation = store.put(key, b"first", expires_in_s=_LONG_S)
            outcomes = at_once(
                lambda number: store.put(key, b"%d" % number, expires_in_s=_LONG_S, generation=generation)
            )
            winners = [number for number, outcome in enumerate(outcomes) if outcome is not None]
            expect(len(winners) == 1, f"{len(winners)} of {THREADS} threads replaced one generation")
            expect(read(store, key) == (b"%d" % winners[0], outcomes[winners[0]]), "the value of the winner is missing")

    def test_of_many_threads_that_want_the_lease_one_gets_it(self) -> None:
        with self._store() as (store, key):
            outcomes = at_once(lambda number: store.acquire(key, f"holder-{number}", expires_in_s=_LONG_S))
            expect(sorted(outcomes) == [False] * (THREADS - 1) + [True], f"{sum(outcomes)} threads have one lease")

    def test_a_store_that_was_closed_opens_again(self) -> None:
        with self._store() as (store, key):
            store.close()
            store.put(key, b"value", expires_in_s=_LONG_S)
            store.close()
            store.close()
            expect(store.get(key) is not None, "close() removed the value")

    def test_its_repr_shows_no_value(self) -> None:
        with self._store() as (store, key):
            store.put(key, b"canary-f3b1", expires_in_s=_LONG_S)
            expect("canary-f3b1" not in repr(store) + repr(store.get(key)), "a repr shows a value")

    def test_the_child_of_a_fork_uses_the_same_place_and_the_parent_goes_on(self) -> None:
        if not (self.shared and hasattr(os, "fork")):
            return
        with self._store() as (store, key):
            store.acquire(key, "parent", expires_in_s=_LONG_S)
            generation = store.put(key, b"parent's", expires_in_s=_LONG_S)

            def child() -> bool:
                seen = store.get(key).generation == generation and not store.acquire(key, "child", expires_in_s=_LONG_S)
                return seen and store.put(key, b"child's", expires_in_s=_LONG_S, generation=generation) is not None

            expect(in_a_child(child), "the child of a fork does not see the value and lease of its parent")
            expect(store.get(key).value == b"child's", "the parent of a fork does not see the value of its child")

    # What `durable = True` promises

    def test_what_a_durable_store_has_taken_outlives_a_process_that_is_killed(self) -> None:
        with self._store() as (store, key):
            if not (_is_durable(store) and hasattr(os, "fork")):
                return
            before = store.put(key, b"before", expires_in_s=_LONG_S)
            store.close()

            def child() -> None:
                stored = self.make_store().put(key, b"after", expires_in_s=_LONG_S, generation=before)
                os.kill(os.getpid(), signal.SIGKILL if stored else signal.SIGTERM)

            _, status = os.waitpid(forked(child), 0)
            expect(os.WTERMSIG(status) == signal.SIGKILL, "put() of a child process did not store a value")
            expect(store.get(key).value == b"after", "a value is gone with the process that has stored it")

    def test_of_many_processes_that_replace_one_generation_of_a_durable_store_one_wins(self) -> None:
        with self._store() as (store, key):
            if not (_is_durable(store) and hasattr(os, "fork")):
                return
            generation = store.put(key, b"first", expires_in_s=_LONG_S)
            store.close()

            def child(number: int) -> None:
                made = self.make_store().put(key, b"%d" % number, expires_in_s=_LONG_S, generation=generation)
                if made is None:
                    os._exit(_NOT_STORED)

            pids = [forked(functools.partial(child, number)) for number in range(_PROCESSES)]
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
            expect(set(codes) <= {0, _NOT_STORED}, "put() raised in a child process")
            expect(codes.count(0) == 1, f"{codes.count(0)} of {_PROCESSES} processes replaced one generation")
            expect(store.get(key).value == b"%d" % codes.index(0), "the value of the winner is missing")

    def test_a_value_of_a_durable_store_is_kept_for_400_days(self) -> None:
        with self._store() as (store, key):
            if not _is_durable(store):
                return
            expect(store.put(key, b"value", expires_in_s=400 * 86_400.0), "put() for 400 days stored nothing")
            expect(store.get(key) is not None, "a value for 400 days is not there")

    def test_a_durable_store_that_cannot_store_raises(self) -> None:
        broken = self.make_broken_store()
        if broken is None:
            return
        raised = False
        with contextlib.closing(broken):
            try:
                broken.put(uuid.uuid4().hex, b"value", expires_in_s=_LONG_S)
            except Exception:  # noqa: BLE001 - any error will do
                raised = True
        expect(raised, "put() of a store that cannot store raises nothing")


def _is_durable(store: Any) -> bool:
    return getattr(store, "durable", False) is True
