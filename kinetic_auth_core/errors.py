"""The error tree: all errors that kinetic-auth raises.

```
KineticAuthError
├── ConfigurationError (ValueError)         settings: missing, unknown, contradictory
│   ├── UnknownProviderError (LookupError)  no such plugin
│   └── ProviderLoadError                   found, but it did not import or does not fit the hookspec
├── KeyLoadError (ValueError)               a key or secret could not be loaded
│   └── PrivateKeyNotFoundError (FileNotFoundError)
└── AuthenticationError                     the login failed
    ├── CredentialsRejectedError            retrying does not help, and may lock the user out
    ├── InteractionRequiredError            a person has to log in
    ├── RateLimitedError                    Salesforce's limit on the logins of a user
    ├── TransientAuthenticationError        proven transient
    │   └── ServiceUnavailableError         ... without a usable response (also a TransportError)
    ├── TransportError                      no usable response: DNS, TLS, time-out, not JSON, too large
    ├── SessionRejectedError                a valid response that a guard rejects
    ├── StoreUnavailableError               a login that may not go on without its store
    └── LoginBudgetError                    our own login limit, below Salesforce's
```

An error says what happened, with which provider, user and host, and what to do. It can be pickled and copied, and
never contains a secret.
"""

import copy
import errno
from collections.abc import Iterable
from typing import Any, Self


class KineticAuthError(Exception):
    """The base of all errors of kinetic-auth.

    Args:
        message: What happened, as one sentence without a secret.
        remedy: What the reader can do about it; empty if unknown.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """The message, followed by the remedy."""
        gap = "\n" if "\n" in self.message else " "  # of several problems it would stand in the line of the last
        return f"{self.message}{gap}Remedy: {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state, because `args` lacks the constructors' keywords."""
        return _rebuild, (type(self), self.args, self._state())

    def _state(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def met_at(self, place: str) -> Self:
        """A copy whose message begins with a place; it has the chain and the traceback of this error.

        Args:
            place: For example `private_key (from SF_PRIVATE_KEY)`.
        """
        other = copy.copy(self)
        other.message = f"{place}: {self.message}"
        if self.args == (self.message,):
            other.args = (other.message,)
        other.__context__, other.__cause__ = self.__context__, self.__cause__
        other.__suppress_context__ = self.__suppress_context__
        return other.with_traceback(self.__traceback__)


def _rebuild(cls: type[KineticAuthError], args: tuple[Any, ...], state: dict[str, Any]) -> KineticAuthError:
    builtin: type = cls
    while builtin.__module__ != "builtins":  # it decides the layout: OSError and ImportError have their own
        builtin = builtin.__base__ or object
    error: KineticAuthError = builtin.__new__(cls, *args)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


class ConfigurationError(KineticAuthError, ValueError):
    """Settings are missing, unknown, of the wrong type or contradict each other.

    Attributes:
        problems: All problems, each a sentence that names the setting and its source.
    """

    def __init__(self, message: str, *, remedy: str = "", problems: Iterable[str] = ()) -> None:
        super().__init__(message, remedy=remedy)
        self.problems = tuple(problems) or (message,)

    @classmethod
    def of(cls, heading: str, problems: Iterable[str]) -> Self:
        """One error for all `problems`, under a heading.

        Args:
            heading: For example ``"Cannot configure 'jwt-bearer'"``.
            problems: Sentences, at least one.
        """
        problems = tuple(problems)
        if len(problems) == 1:
            return cls(f"{heading}: {problems[0]}", problems=problems)
        listed = "".join(f"\n  - {problem}" for problem in problems)
        return cls(f"{heading}, {len(problems)} problems:{listed}", problems=problems)


class UnknownProviderError(ConfigurationError, LookupError):
    """No installed plugin has that name."""


class ProviderNotInstalledError(UnknownProviderError, ImportError):
    """`from kinetic_auth_core import JWTAuthenticator` without the package that provides it."""


class ProviderLoadError(ConfigurationError):
    """A plugin was found, but it does not import, does not fit the hookspec, or two packages claim its name.

    Args:
        message: As for every error.
        remedy: As for every error.
        problems: As for every `ConfigurationError`.
        state: The word of `kinetic-auth plugins` for it: `does not import`, `does not fit` or `needs settings`.
    """

    def __init__(
        self, message: str, *, remedy: str = "", problems: Iterable[str] = (), state: str = "does not fit"
    ) -> None:
        super().__init__(message, remedy=remedy, problems=problems)
        self.state = state


class KeyLoadError(KineticAuthError, ValueError):
    """A key or a secret could not be loaded, or is not in a supported format."""


class PrivateKeyNotFoundError(KeyLoadError, FileNotFoundError):
    """The private key's file does not exist.

    Attributes:
        errno: `errno.ENOENT`.
        filename: The path of the missing file.
    """

    def __init__(self, message: str, *, remedy: str = "", filename: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.errno = errno.ENOENT
        self.strerror = "No such file or directory"
        self.filename = filename

    def _state(self) -> dict[str, Any]:
        return {**self.__dict__, "errno": self.errno, "strerror": self.strerror, "filename": self.filename}


class AuthenticationError(KineticAuthError):
    """The login failed.

    Attributes:
        error: The token endpoint's `error` (RFC 6749, section 5.2), or None without such a response.
        description: Its `error_description`, or None.
        status: The HTTP status, or None without a response.
        remedy: What to do; empty if unknown.
        retryable: Whether the same login can succeed within seconds without a change. False for a `RateLimitedError`:
            only after `retry_after_s`.
        retry_after_s: Seconds until it may be tried again, as the server asked (`Retry-After`) or our own pause says;
            None if neither does.
        attempts: The number of requests for this login, including retries; 0 if none was sent.
        waited_s: Seconds of pauses between the requests.
        provider: The name of the provider, or None.
        host: The login host, or None.
        username: The Salesforce user, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        error: str | None = None,
        description: str | None = None,
        status: int | None = None,
        retryable: bool = False,
        provider: str | None = None,
        host: str | None = None,
        username: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.error = error
        self.description = description
        self.status = status
        self.retryable = retryable
        self.retry_after_s: float | None = None
        self.attempts = 0
        self.waited_s = 0.0
        self.provider = provider
        self.host = host
        self.username = username


class CredentialsRejectedError(AuthenticationError):
    """Salesforce rejected the login; retrying does not help, and may lock the user out."""


class InteractionRequiredError(AuthenticationError):
    """The login needs a person where none may be asked; the remedy is the command to run."""


class RateLimitedError(AuthenticationError):
    """Salesforce's limit on logins: this user has logged in too often within the last hour.

    Its `retry_after_s` is the number of seconds until the next try: 300 at first, more with each further refusal. It is
    not `retryable`: before that time, another try fails as well.
    """


class TransientAuthenticationError(AuthenticationError):
    """Salesforce rejected the login for a reason that is known to be temporary."""


class TransportError(AuthenticationError):
    """No usable response: DNS, TLS, time-out, a redirect, not JSON, too large.

    Attributes:
        unanswered: Whether the request may have reached Salesforce, so that its outcome is unknown.
    """

    def __init__(self, message: str, *, unanswered: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.unanswered = unanswered

    @property
    def is_unsent(self) -> bool:
        """Whether there was no connection, so that the request provably did not leave."""
        return self.status is None and not self.unanswered


class ServiceUnavailableError(TransientAuthenticationError, TransportError):
    """HTTP 429 or 5xx without an OAuth error in it, such as a maintenance page: transient, and no usable response."""


class SessionRejectedError(AuthenticationError):
    """A valid response that a guard rejects: wrong signature, an unsafe instance URL, another org."""


class StoreUnavailableError(AuthenticationError):
    """A login that may not go on without its session store, which failed or has not kept what the login needs."""


class LoginBudgetError(AuthenticationError):
    """Our own limit on the number of logins, below Salesforce's."""


_SHORTEST_PART = 3  # characters


def import_problem(library: str, error: Exception) -> str:
    """Why a library cannot be used, as the end of a sentence that names it.

    Args:
        library: The name of its module.
        error: What its import raised.
    """
    if isinstance(error, ModuleNotFoundError) and error.name == library:
        return "is not installed"
    return f"does not import: {type(error).__name__}: {error}"


def suggest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` with the known name that is most similar to a misspelt one, or nothing.

    Without regard to case; a name that is a part of the other one, such as `jwt`, counts as similar.
    """
    names = {each.casefold(): each for each in known}
    folded = name.casefold()
    match = closest(folded, names, 0.6)
    if match is None and len(folded) >= _SHORTEST_PART:
        match = next(
            (each for each in names if folded in each or (len(each) >= _SHORTEST_PART and each in folded)), None
        )
    return f" (did you mean {names[match]!r}?)" if match else ""


def closest(name: str, known: Iterable[str], cutoff: float) -> str | None:
    """The known name that is most similar to another one, with a ratio (0 to 1) of at least `cutoff`; None without."""
    from difflib import get_close_matches  # a millisecond of every start otherwise

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)
