"""The first login with a credential goes alone: if it is refused, those that wait are held back, not sent as well."""

import threading
from types import TracebackType

from kinetic_auth_core.concurrency import reset_after_fork


class Trial:
    """Lets one thread in, and all others once that one is out, however it went."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pilot: int | None = None
        self._over = threading.Event()
        reset_after_fork(self)

    def __enter__(self) -> None:
        """Become the first, or wait for whoever is."""
        try:
            with self._lock:
                if self._pilot is None:
                    self._pilot = threading.get_ident()
            if self._pilot != threading.get_ident():
                self._over.wait()
        except BaseException:
            if self._pilot == threading.get_ident():  # interrupted before it is in, it must not keep the others out
                self._over.set()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """The trial is over."""
        self._over.set()

    def _after_fork(self) -> None:
        """In the child: the thread that was trying may not be here. What was not tried yet, is tried here as well."""
        is_over = self._over.is_set()
        self._lock, self._over = threading.Lock(), threading.Event()
        if is_over:
            self._over.set()
        else:
            self._pilot = None
