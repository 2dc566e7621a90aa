"""Secrets taken out of other people's texts and errors, before they are quoted or chained."""

from collections.abc import Iterable

MASK = "********"


class LibraryError(Exception):
    """Stands in a chain of causes for somebody else's error that holds a secret: its type and its masked message.

    An error of requests holds the request, and so the password.
    """


def mask(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text of other people's. Those under 4 characters stay: they are parts of common words."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, MASK)
    return text


def safe_cause(error: BaseException, secrets: Iterable[str]) -> BaseException:
    """What may stand in a chain of causes for somebody else's error.

    Args:
        error: The error.
        secrets: What must not show.

    Returns:
        The error itself; or, where its chain holds a request or shows a secret, a `LibraryError` in its place.
    """
    secrets = list(secrets)
    queue: list[BaseException | None] = [error]
    seen: list[int] = []
    while queue:
        link = queue.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.append(id(link))
        if _gives_away(link, secrets):
            module = "" if type(error).__module__ == "builtins" else f"{type(error).__module__}."
            return LibraryError(mask(f"{module}{type(error).__qualname__}: {_text(error)}", secrets))
        queue.append(link.__cause__ or link.__context__)
        queue += link.exceptions if isinstance(link, BaseExceptionGroup) else ()
    return error


def _gives_away(error: BaseException, secrets: Iterable[str]) -> bool:
    """Whether an error holds a request or shows a secret. One that cannot even be looked at may do either."""
    try:
        shown = f"{error} {error.args!r} {vars(error)!r}"
        return hasattr(error, "request") or mask(shown, secrets) != shown
    except Exception:  # noqa: BLE001 - other people's properties: httpx's `request` raises where there is none yet
        return True


def _text(error: BaseException) -> str:
    """What an error says, if it can."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - other people's code
        return "it cannot be shown"


def told(error: BaseException) -> str:
    """Type and message of somebody else's error, for a sentence; a `LibraryError` has both in its message."""
    return str(error) if isinstance(error, LibraryError) else f"{type(error).__name__}: {error}"
