"""What has to be renewed in the child of a `fork`: locks that another thread held, sockets that the parent uses."""

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that renews itself in the child."""

    def _after_fork(self) -> None: ...


_forkables: "weakref.WeakSet[Forkable]" = weakref.WeakSet()


def reset_after_fork(forkable: Forkable) -> None:
    """Have `_after_fork` called in the child of each `fork`, as long as the object lives."""
    _forkables.add(forkable)


def _reset_all() -> None:
    for forkable in list(_forkables):
        forkable._after_fork()  # noqa: SLF001 - the protocol of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
