"""The error tree: everything that kinetic-auth raises.

```
KineticAuthError
├── ConfigurationError (ValueError)         settings: missing, unknown, contradictory
│   ├── UnknownProviderError (LookupError)  no such plugin
│   └── ProviderLoadError                   found, but it did not import or does not fit the hookspec
├── KeyLoadError (ValueError)               a key or secret could not be had or read
│   └── PrivateKeyNotFoundError (FileNotFoundError)
└── AuthenticationError                     the login failed
    ├── CredentialsRejectedError            retrying would not help, and may lock the user out
    ├── TransientAuthenticationError        proven transient
    │   └── ServiceUnavailableError         ... and without a usable answer (also a TransportError)
    ├── TransportError                      no usable answer: DNS, TLS, time-out, not JSON, too large
    ├── SessionRejectedError                a good answer that a guard refuses
    └── LoginBudgetError                    our own brake, before Salesforce's
```

An error says what happened, with which provider, user and host, and what to do. It pickles and copies whole, and
never holds a secret.
"""

import copy
import errno
from collections.abc import Iterable
from typing import Any, Self


class KineticAuthError(Exception):
    """The base of all errors of kinetic-auth.

    Args:
        message: What happened, as one sentence without a secret.
        remedy: What the reader can do about it; empty if nothing is known.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """The message, and the remedy behind it."""
        return f"{self.message} Remedy: {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state: the constructors' keywords are not in `args`."""
        return _rebuild, (type(self), self.args, self._state())

    def _state(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def met_at(self, place: str) -> Self:
        """A copy whose message begins with where it was met; its chain and traceback are those of this one.

        Args:
            place: Such as `private_key (from SF_PRIVATE_KEY)`.
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
    while builtin.__module__ != "builtins":  # the one that decides the layout: OSError and ImportError have their own
        builtin = builtin.__base__ or object
    error: KineticAuthError = builtin.__new__(cls, *args)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


class ConfigurationError(KineticAuthError, ValueError):
    """Settings are missing, unknown, of the wrong type or contradict each other.

    Attributes:
        problems: Every problem that was found, each a sentence that names the setting and where it came from.
    """

    def __init__(self, message: str, *, remedy: str = "", problems: Iterable[str] = ()) -> None:
        super().__init__(message, remedy=remedy)
        self.problems = tuple(problems) or (message,)

    @classmethod
    def of(cls, heading: str, problems: Iterable[str]) -> Self:
        """One error for all `problems`, under a heading that says whose they are.

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
    """`from kinetic_auth_core import JWTAuthenticator` without the package that brings it."""


class ProviderLoadError(ConfigurationError):
    """A plugin was found, but it does not import, does not fit the hookspec, or has a name that two packages claim."""


class KeyLoadError(KineticAuthError, ValueError):
    """A key or a secret could not be had, or is not what it should be."""


class PrivateKeyNotFoundError(KeyLoadError, FileNotFoundError):
    """The private key's file is not there.

    Attributes:
        errno: `errno.ENOENT`.
        filename: The path that was looked for.
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
        error: The token endpoint's `error` (RFC 6749, section 5.2), or None where there was no such answer.
        description: Its `error_description`, or None.
        status: The HTTP status, or None where there was no answer.
        remedy: What to do; empty where nothing is known for certain.
        retryable: Whether the same login can succeed later by itself.
        retry_after_s: Seconds that the server asked to wait (`Retry-After`), or None.
        attempts: How often this login was tried, with repetitions; 0 if it was not tried at all.
        waited_s: Seconds of pauses between the tries.
        provider: The name of the provider, or None.
        host: The host that was asked, or None.
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
    """Salesforce refused the login; retrying would not help, and may lock the user out."""


class TransientAuthenticationError(AuthenticationError):
    """Salesforce refused for a reason that is known to pass by itself."""


class TransportError(AuthenticationError):
    """No usable answer: DNS, TLS, time-out, a redirect, not JSON, too large.

    Attributes:
        unanswered: Whether the request may have reached Salesforce, so that what became of it there is not known.
    """

    def __init__(self, message: str, *, unanswered: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.unanswered = unanswered


class ServiceUnavailableError(TransientAuthenticationError, TransportError):
    """HTTP 429 or 5xx without an OAuth error in it, such as a maintenance page: transient, and no usable answer."""


class SessionRejectedError(AuthenticationError):
    """A good answer that a guard refuses: wrong signature, an unsafe instance URL, another org."""


class LoginBudgetError(AuthenticationError):
    """Our own brake on the number of logins, before Salesforce's."""
