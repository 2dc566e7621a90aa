"""The exit codes of `kinetic-auth`, by type of error."""

from kinetic_auth_core.errors import (
    AuthenticationError,
    ConfigurationError,
    KeyLoadError,
    KineticAuthError,
    LoginBudgetError,
    RateLimitedError,
    StoreUnavailableError,
    TransientAuthenticationError,
    TransportError,
)

OK = 0  #: Done.
USAGE = 2  #: The command line or the configuration is wrong.
NO_KEY = 3  #: A key or another secret could not be loaded or read.
REFUSED = 4  #: The login was refused; trying again would not help.
TRY_LATER = 5  #: No usable answer, or a temporary failure.
UNEXPECTED = 6  #: Something that should not happen.
EXPIRES_SOON = 7  #: `cert check`: the certificate is valid but expires soon.
UNFIT_CERTIFICATE = 8  #: `cert check`: it has expired, belongs to another key, or Salesforce would not accept it.
NO_SESSION = 9  #: `status`: there is no session, or it is dead.
CANNOT_RUN = 126  #: `exec`: the command cannot be run.
NOT_FOUND = 127  #: `exec`: the command was not found.
INTERRUPTED = 130  #: Ctrl-C, as shells report it.

#: For `--help`: what each code means.
MEANINGS = {
    OK: "done",
    USAGE: "the command line or the configuration is wrong",
    NO_KEY: "a key or another secret could not be loaded",
    REFUSED: "the login was refused",
    TRY_LATER: "no usable answer, or a temporary failure: try later",
    UNEXPECTED: "an unexpected error; --debug shows where",
    EXPIRES_SOON: "the certificate expires soon (cert check)",
    UNFIT_CERTIFICATE: "the certificate has expired, belongs to another key, or is unusable (cert check)",
    NO_SESSION: "there is no live session (status)",
    CANNOT_RUN: "the command cannot be run (exec)",
    NOT_FOUND: "the command was not found (exec); exec gives the exit code of its command otherwise",
    INTERRUPTED: "interrupted",
}

# The first match counts: some errors have two types.
_BY_ERROR: tuple[tuple[type[KineticAuthError], int], ...] = (
    (ConfigurationError, USAGE),
    (KeyLoadError, NO_KEY),
    (TransientAuthenticationError, TRY_LATER),
    (TransportError, TRY_LATER),
    (LoginBudgetError, TRY_LATER),
    (RateLimitedError, TRY_LATER),
    (StoreUnavailableError, TRY_LATER),
    (AuthenticationError, REFUSED),
)


def exit_code_of(error: BaseException) -> int:
    """The exit code for an error.

    Args:
        error: Any exception.

    Returns:
        `UNEXPECTED` for one that is not a `KineticAuthError`.
    """
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), UNEXPECTED)
