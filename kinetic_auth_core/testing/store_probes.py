"""How the suite of session stores asks: by threads that begin together, by a fork's child, by looking again."""

import os
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

THREADS = 16
_PATIENCE_S = 10.0


def expect(holds: object, what: str) -> None:
    """An `assert` that reads the same under `python -O` and where pytest does not rewrite it."""
    if not holds:
        raise AssertionError(f"the store broke its contract: {what}")


def until(holds: Callable[[], object], what: str) -> None:
    """Ask again until it holds."""
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        expect(time.monotonic() < deadline, f"{what}, even after {_PATIENCE_S:.0f} s")
        time.sleep(0.01)


def read(store: Any, key: str) -> tuple[bytes, int] | None:
    """What a handle sees under a key: value and generation."""
    found = store.get(key)
    return None if found is None else (found.value, found.generation)


def at_once(call: Callable[[int], Any]) -> list[Any]:
    """What the call returns in each of many threads that begin together."""
    outcomes: list[Any] = [AssertionError("the thread never ended")] * THREADS
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        start.wait(_PATIENCE_S)
        try:
            outcomes[number] = call(number)
        except Exception as error:  # noqa: BLE001 - raised in the test's own thread
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes


def in_a_child(check: Callable[[], bool]) -> bool:
    """Whether the check holds in the child of a `fork`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: other threads may be there; they are tested
        pid = os.fork()
    if pid == 0:
        holds = False
        try:
            holds = check()
        finally:
            os._exit(0 if holds else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
