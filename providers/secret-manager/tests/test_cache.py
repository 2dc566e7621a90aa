"""The guarantees of the cache: threads, lifetime, outages."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kinetic_auth_secret_manager.cache import CLOCKS, MAX_VALUES, OUTAGE_PAUSE_S, Cache
from kinetic_auth_secret_manager.problems import Problem

THREADS = 64
DOWN = Problem("the vault is down", "Wait.", outage=True)
DENIED = Problem("access is denied", "Ask for it.")


class Vault:
    """Returns its value, and counts the calls."""

    def __init__(self, holds: Any = "value") -> None:
        self.holds = holds
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        return self.holds


def get(cache: Cache[Any], read: Callable[[], Any], *, fresh: bool = False, lifetime_s: float = 300) -> Any:
    return cache.get("key", read, lifetime_s=lifetime_s, fresh=fresh, label="vault://secret")


@pytest.fixture
def cache(clock: Any) -> Cache[Any]:
    return Cache(clocks=(clock,))


def test_a_value_is_cached_for_its_lifetime(cache: Cache[Any], clock: Any) -> None:
    vault = Vault()
    get(cache, vault)
    clock.now = 299.9
    get(cache, vault)
    assert vault.asked == 1
    clock.now = 300
    get(cache, vault)
    assert vault.asked == 2


def test_a_lifetime_of_zero_asks_each_time(cache: Cache[Any]) -> None:
    vault = Vault()
    get(cache, vault, lifetime_s=0)
    get(cache, vault, lifetime_s=0)
    assert vault.asked == 2


def test_a_fresh_read_asks_the_vault_and_serves_the_others_too(cache: Cache[Any]) -> None:
    vault = Vault("old")
    get(cache, vault)
    vault.holds = "new"
    assert get(cache, vault) == "old"
    assert get(cache, vault, fresh=True) == "new"
    assert get(cache, vault) == "new"
    assert vault.asked == 2


def test_time_that_the_machine_sleeps_counts_as_age() -> None:
    monotonic, wall = [0.0], [1000.0]
    cache: Cache[Any] = Cache(clocks=(lambda: monotonic[0], lambda: wall[0]))
    vault = Vault()
    get(cache, vault)
    wall[0] += 301
    get(cache, vault)
    assert vault.asked == 2
    wall[0] -= 5000  # set back: the other clock continues
    monotonic[0] += 301
    get(cache, vault)
    assert vault.asked == 3
    assert len(CLOCKS) == 2


def test_concurrent_readers_ask_once_and_all_get_the_answer(cache: Cache[Any]) -> None:
    asked: list[str] = []
    arrived = threading.Barrier(THREADS)

    def read() -> Any:
        asked.append(threading.current_thread().name)
        return "value"

    def ask(_: int) -> Any:
        arrived.wait()
        return get(cache, read)

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(ask, range(THREADS))) == ["value"] * THREADS
    assert len(asked) == 1


def test_an_outage_serves_the_last_good_value_with_one_warning(
    cache: Cache[Any], clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    vault = Vault("canary-value")
    get(cache, vault)
    clock.now = 400
    vault.holds = DOWN
    assert [get(cache, vault) for _ in range(5)] == ["canary-value"] * 5
    assert vault.asked == 2  # it is left alone for a while
    clock.now += OUTAGE_PAUSE_S
    assert get(cache, vault) == "canary-value"
    assert vault.asked == 3
    assert get(cache, vault, fresh=True) == "canary-value"
    assert vault.asked == 4
    assert caplog.messages == [
        "vault://secret: the vault is down; the value read 400 s ago is still used. Wait.",
    ]
    vault.holds = "new"
    clock.now += OUTAGE_PAUSE_S
    assert get(cache, vault) == "new"
    assert caplog.messages[1:] == ["vault://secret: the vault responds again"]
    clock.now += 300
    vault.holds = DOWN
    assert get(cache, vault) == "new"
    assert len(caplog.messages) == 3  # another outage, another warning
    assert "canary" not in caplog.text


def test_an_outage_before_the_first_value_is_reported_each_time(
    cache: Cache[Any], caplog: pytest.LogCaptureFixture
) -> None:
    vault = Vault(DOWN)
    assert get(cache, vault) is DOWN
    assert get(cache, vault) is DOWN
    assert vault.asked == 2
    assert caplog.messages == []


def test_a_rejection_is_not_an_outage_and_is_asked_again(cache: Cache[Any], clock: Any) -> None:
    vault = Vault("value")
    get(cache, vault)
    clock.now = 300
    vault.holds = DENIED
    assert get(cache, vault) is DENIED
    assert get(cache, vault) is DENIED
    assert vault.asked == 3
    vault.holds = "value"
    assert get(cache, vault) == "value"


def test_after_an_interrupted_read_the_next_reader_asks_the_vault(cache: Cache[Any]) -> None:
    def interrupted() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(cache, interrupted)
    assert get(cache, Vault()) == "value"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_does_not_wait_for_a_thread_of_its_parent(cache: Cache[Any]) -> None:
    asking, answer = threading.Event(), threading.Event()

    def slow() -> Any:
        asking.set()
        answer.wait()
        return "value"

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(get, cache, slow)
        asking.wait()
        child = os.fork()
        if child == 0:
            os._exit(0 if get(cache, Vault("of the child")) == "of the child" else 1)
        answer.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert future.result() == "value"


def test_the_cache_shows_no_value(cache: Cache[Any]) -> None:
    get(cache, Vault("canary"))
    assert "canary" not in repr(vars(cache))


def test_a_limited_number_of_values_is_kept_and_the_oldest_is_removed_first(cache: Cache[Any]) -> None:
    for number in range(MAX_VALUES + 5):
        cache.get(number, Vault(number), lifetime_s=300, fresh=False, label="vault://secret")
    vault = Vault()
    for number in (MAX_VALUES + 4, 5):
        assert cache.get(number, vault, lifetime_s=300, fresh=False, label="vault://secret") == number
    assert vault.asked == 0
    assert cache.get(4, vault, lifetime_s=300, fresh=False, label="vault://secret") == "value"
