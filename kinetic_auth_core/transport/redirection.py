"""While tests redirect logins to an emulator: which one, and that nothing goes elsewhere.

It holds for the whole process, all threads included, so that no login escapes that the test did not think of. Only
`kinetic_auth_core.testing.redirect_logins` turns it on: no setting and no variable does.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.errors import ConfigurationError


@attrs.frozen(eq=False, repr=False, match_args=False)
class Redirection:
    """Where logins go.

    Attributes:
        url: The emulator's address.
        settings: Gives the settings that log in there, by the name of a provider; `ValueError` if it has none for it.
    """

    url: str
    settings: Callable[[str], Mapping[str, Any]] = attrs.field(repr=False)


_begun: list[Redirection] = []
active: Redirection | None = (
    None  #: What holds now. `SessionSource.session` reads it: a call would cost a quarter more.
)


def current() -> Redirection | None:
    """What holds now, or None."""
    return active


@contextlib.contextmanager
def redirected(redirection: Redirection) -> Iterator[None]:
    """Let a redirection hold while the body runs."""
    global active  # noqa: PLW0603 - it holds for the whole process
    _begun.append(redirection)
    active = redirection
    try:
        yield
    finally:
        _begun.remove(redirection)
        active = _begun[-1] if _begun else None


def check_source(made_within: Redirection | None) -> None:
    """Check that a source was resolved under the redirection that holds now.

    Raises:
        ConfigurationError: It was resolved before, or under one that has ended.
    """
    if made_within is current():
        return
    if made_within is None:
        message = "redirect_logins is active, and this source was resolved before it, so nothing was sent."
    else:
        message = "this source was resolved within redirect_logins, which has ended, so nothing was sent."
    raise ConfigurationError(message, remedy="Resolve the source within the redirect_logins that is to hold for it.")


def check_address(url: str) -> None:
    """Check that a request may go to an address.

    Raises:
        ConfigurationError: Logins are redirected, and it is another host than the emulator's.
    """
    redirection = current()
    if redirection is None or urlsplit(url)[:2] == urlsplit(redirection.url)[:2]:
        return
    raise ConfigurationError(
        f"redirect_logins is active, so nothing was sent to {urlsplit(url).hostname}.",
        remedy="Resolve the source within redirect_logins: then it logs in at the emulator.",
    )
