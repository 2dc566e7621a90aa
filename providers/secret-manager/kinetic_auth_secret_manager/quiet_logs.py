"""Keeps secrets out of the SDKs' debug logs.

At DEBUG, `botocore.parsers` logs the body of each answer, and with it the secret. While one of our calls runs, in its
thread, what that logger says at DEBUG is dropped; the rest of botocore's log, and the application's own calls, stay as
they are. The Azure SDK logs bodies only for clients made with `logging_enable=True`, which ours are not.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SPEAKS_OF_BODIES = ("botocore.parsers",)

_asking = ContextVar("_asking", default=False)


class _WithoutBodies(logging.Filter):
    """Drops DEBUG records while one of our calls runs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may be logged."""
        return record.levelno > logging.DEBUG or not _asking.get()


_filter = _WithoutBodies()


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Within, the SDKs log no bodies."""
    for name in _SPEAKS_OF_BODIES:
        logging.getLogger(name).addFilter(_filter)  # a second time, it does nothing
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)
