"""Values that are made at first use and kept."""

import pytest

from kinetic_auth_core.concurrency import Once


def test_a_value_is_made_once_and_again_after_take() -> None:
    once: Once[object] = Once()
    made = once.get(object)
    assert once.get(object) is once.peek() is made
    assert once.take() is made
    assert once.peek() is None
    assert once.get(object) is not made


def test_after_a_failure_the_next_caller_makes_the_value() -> None:
    once: Once[int] = Once()
    with pytest.raises(ZeroDivisionError):
        once.get(lambda: 1 // 0)
    assert once.get(lambda: 1) == 1


def test_a_value_that_needs_itself_is_an_error_and_does_not_hang() -> None:
    once: Once[int] = Once()
    with pytest.raises(RuntimeError, match="was requested by the function that makes it"):
        once.get(lambda: once.get(lambda: 1))
    assert once.get(lambda: 1) == 1
