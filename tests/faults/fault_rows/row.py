"""A row: a fault, and the expected result."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import attrs

import kinetic_auth_core as kinetic
from kinetic_auth_core import TransportError
from kinetic_auth_core.testing import SalesforceEmulator

#: Secrets that must not be shown anywhere. The password has characters that a form encodes.
PASSWORD = "canary PASSWORD/1&ü"
TOKEN = "canary-TOKEN-2"
SECRET = "canary-SECRET-3"
ACCESS = "00D000000000001!canary.ACCESS-4"
MARKERS = ("PASSWORD/1", "PASSWORD%2F1", TOKEN, SECRET, "canary.ACCESS-4")


@attrs.frozen
class Target:
    """What a login is sent to.

    Attributes:
        url: The login_url.
        ca_bundle: The authority of its certificate.
        count: How many requests it has had; None if that is unknown.
    """

    url: str
    ca_bundle: Path | None = None
    count: Callable[[], int] | None = None


Cause = Callable[[SalesforceEmulator], AbstractContextManager[Target]]


@attrs.frozen
class Row:
    """A fault.

    Attributes:
        group: Its part of the table.
        what: A unique description, as the table prints it.
        cause: Causes the fault.
        raised: The class of the error.
        tries: Requests that a login makes, by provider; only those are run.
        at_most_s: How long it may take.
        settings: More settings of the provider.
        options: Settings of the source.
        advice: A word that the expected remedy contains.
    """

    group: str
    what: str
    cause: Cause
    raised: type[kinetic.KineticAuthError] = TransportError
    tries: Mapping[str, int] = attrs.field(factory=lambda: {"jwt-bearer": 1, "password": 1})
    at_most_s: float = 5.0
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    options: Mapping[str, Any] = attrs.field(factory=dict)
    advice: str = ""


#: A request that may have arrived is repeated only by the provider that no repetition can lock out.
UNANSWERED: Mapping[str, Any] = {"tries": {"jwt-bearer": 4, "password": 1}, "at_most_s": 12.0}
#: Whether a reset on accepting is seen before the request is sent is a matter of luck, and decides if it is repeated.
BY_JWT: Mapping[str, Any] = {"tries": {"jwt-bearer": 4}, "at_most_s": 12.0}
PASSES: Mapping[str, Any] = {"tries": {"jwt-bearer": 4, "password": 4}, "at_most_s": 12.0}
