"""Values that are made at first use and kept."""

import contextlib
import itertools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from kinetic_auth_core import concurrency
from kinetic_auth_core.concurrency import LazyAttribute, Once, reset_after_fork


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


def test_of_many_threads_one_makes_the_value_and_the_next_tries_after_a_failure() -> None:
    for _ in range(50):
        _let_threads_make_a_value()


def _let_threads_make_a_value() -> None:
    once: Once[object] = Once()
    tries = itertools.count(1)
    busy: list[int] = []
    most: list[int] = []

    def make() -> object:
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.0002)  # other threads come meanwhile
        busy.pop()
        if next(tries) < 3:
            raise ZeroDivisionError
        return object()

    def get() -> object:
        while True:
            with contextlib.suppress(ZeroDivisionError):
                return once.get(make)

    with ThreadPoolExecutor(8) as pool:
        found = [each.result() for each in [pool.submit(get) for _ in range(8)]]
    assert set(found) == {once.peek()}
    assert max(most) == 1
    assert next(tries) == 4


def test_nothing_is_kept_of_values_that_were_made_or_failed() -> None:
    before = len(concurrency._being_made)
    for _ in range(10):
        once: Once[object] = Once()
        with pytest.raises(ZeroDivisionError):
            once.get(lambda: 1 // 0)
        once.get(object)
        once.take()
    assert len(concurrency._being_made) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_makes_a_value_that_a_thread_of_the_parent_was_making() -> None:
    once: Once[str] = Once()
    is_making, may_end = threading.Event(), threading.Event()

    def make() -> str:
        is_making.set()
        may_end.wait(30)
        return "parent"

    thread = threading.Thread(target=once.get, args=(make,))
    thread.start()
    is_making.wait(30)
    pid = os.fork()
    if not pid:
        signal.alarm(20)  # a child that waits for the parent's thread ends here
        os._exit(0 if once.get(lambda: "child") == "child" else 1)
    may_end.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0
    assert once.peek() == "parent"


def test_an_attribute_that_threads_ask_for_at_once_is_the_same_for_all() -> None:
    class Holder:
        @LazyAttribute
        def value(self) -> object:
            time.sleep(0.0002)
            return object()

    for _ in range(50):
        holder = Holder()
        with ThreadPoolExecutor(8) as pool:
            found = [each.result() for each in [pool.submit(getattr, holder, "value") for _ in range(8)]]
        assert len(set(found)) == 1
        assert holder.value is found[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_renews_plugins_that_are_equal_or_have_no_hash_and_those_after_one_that_fails() -> None:
    @attrs.define
    class Equal:
        fails: bool = False
        renewed: list[int] = attrs.field(factory=list, eq=False)

        def _after_fork(self) -> None:
            if self.fails:
                raise LookupError
            self.renewed.append(1)

    plugins = [Equal(), Equal(fails=True), Equal(), Equal(fails=True), Equal()]
    for each in plugins:
        reset_after_fork(each)
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        os._exit(0 if [len(each.renewed) for each in plugins] == [1, 0, 1, 0, 1] else 1)
    assert os.waitpid(pid, 0)[1] == 0
