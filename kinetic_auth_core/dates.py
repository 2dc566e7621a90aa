"""The times that an answer's headers tell: when it was made, and how long to wait before asking again."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime


def answered_at(headers: Mapping[str, str]) -> float | None:
    """When the answer was made, by the server's clock (RFC 9110, section 6.6.1).

    Args:
        headers: The answer's, names in any case.

    Returns:
        Unix seconds, whole ones; None where there is no `Date`, or none that can be read.
    """
    return _seconds(headers.get("Date"))


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """How long the server asks to wait (RFC 9110, section 10.2.3).

    Args:
        headers: The answer's, names in any case.
        now: Unix seconds, for a date where the answer does not tell its own.

    Returns:
        Seconds, 0 for a date that has passed; None where there is no `Retry-After`, or none that can be read.
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked[:10])
    date = _seconds(asked)
    return None if date is None else max(date - (answered_at(headers) or now), 0.0)


def _seconds(date: str | None) -> float | None:
    try:
        parsed = parsedate_to_datetime(date or "")
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
