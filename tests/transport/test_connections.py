"""The deadline of a thread: it bounds what is sent inside of it, and nothing afterwards."""

import math
import time

import pytest

from kinetic_auth_core.transport.connections import Deadline, bounded_timeout_s, remaining_s


def test_without_a_deadline_the_time_is_endless() -> None:
    assert remaining_s() == math.inf
    assert bounded_timeout_s(None) is None
    assert bounded_timeout_s(3.0) == 3.0


def test_the_earlier_of_two_deadlines_applies() -> None:
    with Deadline(10):
        with Deadline(100):
            assert 9 < remaining_s() <= 10
        with Deadline(1):
            assert remaining_s() <= 1
        with Deadline(None):
            assert 9 < remaining_s() <= 10
    assert remaining_s() == math.inf


def test_a_deadline_that_is_entered_again_goes_on() -> None:
    deadline = Deadline(0.001)
    with deadline:
        assert not deadline.has_passed or remaining_s() == 0
    while not deadline.has_passed:
        time.sleep(0)
    with deadline, pytest.raises(TimeoutError):
        bounded_timeout_s(5.0)


def test_a_deadline_whose_end_was_interrupted_bounds_nothing_afterwards() -> None:
    def interrupted() -> None:
        deadline = Deadline(0.0)
        deadline.__enter__()

    interrupted()
    assert remaining_s() == math.inf
