"""Secrets taken out of other people's texts and errors, before they are quoted or chained."""

from collections.abc import Iterable, Iterator

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
    if not any(_gives_away(link, secrets) for link in _links(error)):
        return error
    module = "" if type(error).__module__ == "builtins" else f"{type(error).__module__}."
    return LibraryError(mask(f"{module}{type(error).__qualname__}: {_text(error)}", secrets))


def clean_chain(error: BaseException, secrets: Iterable[str]) -> None:
    """Let nothing stand in an error's chain that holds a request or shows a secret.

    Args:
        error: An error of ours that a plugin raised, perhaps from one of requests.
        secrets: What must not show.
    """
    secrets = list(secrets)
    cause, context, is_suppressed = error.__cause__, error.__context__, error.__suppress_context__
    error.__cause__ = cause and safe_cause(cause, secrets)
    error.__context__ = context and safe_cause(context, secrets)
    error.__suppress_context__ = is_suppressed


def without_frames(error: BaseException) -> None:
    """Take the tracebacks off an error and all its chain: their frames have secrets among their locals."""
    for link in list(_links(error)):
        link.__traceback__ = None


def _links(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that is chained to it or grouped in it, each once."""
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        link = queue.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        queue += (link.__cause__, link.__context__)
        queue += link.exceptions if isinstance(link, BaseExceptionGroup) else ()


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
