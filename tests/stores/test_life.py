"""How old a session is: by two clocks, with a window for refreshing it before it is over."""

import time

from hypothesis import given
from hypothesis import strategies as st

from kinetic_auth_core import SalesforceSession
from kinetic_auth_core.stores.session_cache import ADVISORY_FROM, JITTER, LiveSession, Phase

SESSION = SalesforceSession("00D!token", "https://acme.my.salesforce.com", "", "0")


def phase_after(live: LiveSession, monotonic: float, wall: float) -> Phase:
    return live.phase((time.monotonic() + monotonic, time.time() + wall))


def test_it_is_fresh_then_stale_then_expired() -> None:
    live = LiveSession.of(SESSION, 1000)
    assert phase_after(live, 0, 0) is Phase.FRESH
    assert phase_after(live, 740, 740) is Phase.FRESH
    assert phase_after(live, 860, 860) is Phase.DUE
    assert phase_after(live, 1001, 1001) is Phase.OVER


def test_a_frozen_function_or_a_sleeping_laptop_is_noticed_by_the_wall_clock() -> None:
    assert phase_after(LiveSession.of(SESSION, 1000), 0, 1001) is Phase.OVER


def test_a_wall_clock_that_was_set_back_keeps_no_session_alive() -> None:
    assert phase_after(LiveSession.of(SESSION, 1000), 1001, -5000) is Phase.OVER


def test_the_refreshes_of_a_fleet_are_spread() -> None:
    due = {LiveSession.of(SESSION, 1000).due_monotonic for _ in range(100)}
    assert max(due) - min(due) > JITTER * 1000 / 2


@given(st.floats(0.1, 86_400))
def test_it_becomes_stale_within_the_window_whatever_the_lifetime(lifetime_s: float) -> None:
    live = LiveSession.of(SESSION, lifetime_s)
    due_in = live.due_monotonic - time.monotonic()
    assert lifetime_s * ADVISORY_FROM - 1 < due_in <= lifetime_s * (ADVISORY_FROM + JITTER)


def test_a_stored_session_is_as_old_as_its_login() -> None:
    assert LiveSession.of(SESSION, 1000, born_at=time.time() - 900).phase() is Phase.DUE
    assert LiveSession.of(SESSION, 1000, born_at=time.time() - 1001).phase() is Phase.OVER


def test_the_clock_of_another_machine_that_is_ahead_makes_no_session_younger_than_new() -> None:
    live = LiveSession.of(SESSION, 1000, born_at=time.time() + 5000)
    assert phase_after(live, 1001, 1001) is Phase.OVER
