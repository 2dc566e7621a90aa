"""Keeps secrets out of the SDKs' debug logs.

At DEBUG, `botocore.parsers` logs the body of each answer, and with it the secret; `botocore.endpoint` and
`botocore.auth` log each request, and with it session tokens and the token of a web identity. While one of our calls
runs, in its thread, the DEBUG records of these loggers are dropped; the rest of botocore's log, and the application's
own calls, are not affected. The Azure SDK logs bodies only for clients made with `logging_enable=True`, which ours are
not.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOG_SECRETS = ("botocore.auth", "botocore.endpoint", "botocore.parsers")

_asking = ContextVar("_asking", default=False)


class _WithoutSecrets(logging.Filter):
    """Drops DEBUG records while one of our calls runs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may be logged."""
        return record.levelno > logging.DEBUG or not _asking.get()


_filter = _WithoutSecrets()


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keep the SDKs from logging secrets."""
    for name in _LOG_SECRETS:
        logging.getLogger(name).addFilter(_filter)  # has no effect the second time
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)
