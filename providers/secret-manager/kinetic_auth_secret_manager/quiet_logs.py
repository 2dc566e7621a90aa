"""Keeps secrets out of the SDKs' debug logs.

At DEBUG, `botocore.parsers` logs the body of each answer, and with it the secret. While one of our calls runs, in its
thread, the DEBUG records of that logger are dropped; the rest of botocore's log, and the application's own calls, are
not affected. The Azure SDK logs bodies only for clients made with `logging_enable=True`, which ours are not.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOGS_BODIES = ("botocore.parsers",)

_asking = ContextVar("_asking", default=False)


class _WithoutBodies(logging.Filter):
    """Drops DEBUG records while one of our calls runs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may be logged."""
        return record.levelno > logging.DEBUG or not _asking.get()


_filter = _WithoutBodies()


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keep the SDKs from logging bodies."""
    for name in _LOGS_BODIES:
        logging.getLogger(name).addFilter(_filter)  # has no effect the second time
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)
