"""The age of a session: by two clocks, with a window for refreshing it before it expires."""

import time

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core import SalesforceSession
from kinetic_auth_core.session import ADVISORY_FROM, JITTER, CachedSession, Freshness

SESSION = SalesforceSession("00D!token", "https://acme.my.salesforce.com", "", "0")


def freshness_after(cached: CachedSession, monotonic: float, wall: float) -> Freshness:
    return cached.freshness((time.monotonic() + monotonic, time.time() + wall))


def test_a_session_is_fresh_then_stale_then_expired() -> None:
    cached = CachedSession.of(SESSION, 1000)
    assert freshness_after(cached, 0, 0) is Freshness.FRESH
    assert freshness_after(cached, 740, 740) is Freshness.FRESH
    assert freshness_after(cached, 860, 860) is Freshness.STALE
    assert freshness_after(cached, 1001, 1001) is Freshness.EXPIRED


def test_a_frozen_function_or_a_sleeping_laptop_is_noticed_by_the_wall_clock() -> None:
    assert freshness_after(CachedSession.of(SESSION, 1000), 0, 1001) is Freshness.EXPIRED


def test_a_wall_clock_set_back_keeps_no_session_alive() -> None:
    assert freshness_after(CachedSession.of(SESSION, 1000), 1001, -5000) is Freshness.EXPIRED


def test_the_refreshes_of_a_fleet_are_spread() -> None:
    due = {CachedSession.of(SESSION, 1000).stale_monotonic for _ in range(100)}
    assert max(due) - min(due) > JITTER * 1000 / 2


@given(st.floats(0.1, 86_400))
def test_a_session_becomes_stale_within_the_window_for_any_lifetime(lifetime_s: float) -> None:
    cached = CachedSession.of(SESSION, lifetime_s)
    stale_in = cached.stale_monotonic - time.monotonic()
    assert lifetime_s * ADVISORY_FROM - 1 < stale_in <= lifetime_s * (ADVISORY_FROM + JITTER)


@pytest.mark.parametrize(("ends_in_s", "lives_s"), [(300, 300), (5000, 1000), (-5, 0)])
def test_it_lives_no_longer_than_it_says_itself(ends_in_s: float, lives_s: float) -> None:
    cached = CachedSession.of(attrs.evolve(SESSION, expires_at=time.time() + ends_in_s), 1000)
    assert cached.expired_wall - time.time() == pytest.approx(lives_s, abs=1)
    assert freshness_after(cached, lives_s + 1, lives_s + 1) is Freshness.EXPIRED


def test_the_age_of_a_stored_session_counts_from_its_login() -> None:
    assert CachedSession.of(SESSION, 1000, born_at=time.time() - 900).freshness() is Freshness.STALE
    assert CachedSession.of(SESSION, 1000, born_at=time.time() - 1001).freshness() is Freshness.EXPIRED


def test_a_session_from_a_machine_whose_clock_is_ahead_has_expired() -> None:
    cached = CachedSession.of(SESSION, 1000, born_at=time.time() + 5000)
    assert freshness_after(cached, 1001, 1001) is Freshness.EXPIRED
