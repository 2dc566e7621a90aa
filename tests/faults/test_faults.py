"""Every fault of a login, one row for each: which error the caller gets, how soon and after how many requests, and
that it shows no secret.

The rows are in `fault_rows`. They are also a table in the docs, `docs/faults.csv`: a run compares them with it, and one
with WRITE_FAULT_TABLE=1 in the environment writes it.
"""

import copy
import csv
import io
import logging
import os
import pickle
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import kinetic_auth_core as kinetic
from fault_rows import ROWS, Row, Target, http
from fault_rows.refusals import REFUSALS
from fault_rows.row import MARKERS, PASSWORD, SECRET, TOKEN
from kinetic_auth_core import AuthenticationError
from kinetic_auth_core.oauth.error_codes import known_error
from kinetic_auth_core.stores.base import process_notes
from kinetic_auth_core.testing import ERROR_ROWS, KeyPair, SalesforceEmulator
from kinetic_auth_jwt_bearer import JWTAuthenticator
from kinetic_auth_password import OAuthAuthenticator

TABLE = Path(__file__).parents[2] / "docs" / "faults.csv"
COLUMNS = ("group", "what", "raised", "message", "remedy", "retryable", "jwt-bearer", "password", "at most")
BOUNDS: Mapping[str, float] = {"connect_timeout": 1.0, "read_timeout": 1.0, "deadline": 10.0}
#: The messages of the system and of OpenSSL differ between machines.
WORDED_BY_THE_SYSTEM = frozenset({"connection", "TLS"})


@attrs.frozen
class Outcome:
    """The result of a login.

    Attributes:
        error: What was raised.
        logged: All log lines of every level, with tracebacks.
        took_s: How long it took.
        arrived: How many requests the server saw; None if that is unknown.
    """

    error: kinetic.KineticAuthError
    logged: str
    took_s: float
    arrived: int | None


def authenticator(provider: str, row: Row, target: Target, pair: KeyPair) -> Any:
    common: dict[str, Any] = {"login_url": target.url, **BOUNDS, "ca_bundle": target.ca_bundle, **row.settings}
    if provider == "password":
        return OAuthAuthenticator("client", SECRET, "ada@acme.example", PASSWORD, TOKEN, **common)
    return JWTAuthenticator("client", "ada@acme.example", pair.private_key_pem, client_secret=SECRET, **common)


def outcome_of(row: Row, provider: str, sf: SalesforceEmulator, pair: KeyPair, stream: io.StringIO) -> Outcome:
    process_notes.cache_clear()  # the other provider logs in the same user
    with row.cause(sf) as target:
        source = kinetic.SessionSource(authenticator(provider, row, target, pair), **row.options)
        stream.truncate(0)
        began = time.monotonic()
        try:
            source.session()
        except kinetic.KineticAuthError as error:
            took_s = time.monotonic() - began
            logging.getLogger("app").exception("the login failed")
            arrived = target.count() if target.count else None
            return Outcome(error, stream.getvalue(), took_s, arrived)
        finally:
            source.close()
    pytest.fail(f"a session was handed out: {row.what}")


def line_of(row: Row, error: kinetic.KineticAuthError) -> dict[str, str]:
    """The row of the table in the docs."""
    message = re.sub(r"^.*?ada@acme.example at \S+ (failed: |succeeded, and )", "", error.message)
    message = re.sub(r" Given up after .*", "", message)
    message = re.sub(r"the proxy 127\.0\.0\.1:\d+", "the proxy proxy.example", message)
    message = message.replace("localhost, 127.0.0.1, ::1", "login.example")
    message = re.sub(r"\b(127\.0\.0\.1|localhost)(:\d+)?", "login.example", message)
    return {
        "group": row.group,
        "what": row.what,
        "raised": type(error).__name__,
        "message": message,
        "remedy": remedy_of(error),
        "retryable": "yes" if getattr(error, "retryable", False) else "",
        **{provider: str(row.tries.get(provider, "")) for provider in ("jwt-bearer", "password")},
        "at most": f"{row.at_most_s:g} s",
    }


def remedy_of(error: kinetic.KineticAuthError) -> str:
    """The remedy that holds for any provider: that of a disabled flow names the flow."""
    known = known_error(getattr(error, "error", None) or "", getattr(error, "description", None))
    return known.remedy if known and known.error == "oauth_flow_disabled" else error.remedy


def shown_by(error: kinetic.KineticAuthError) -> str:
    """What pickles and copies of an error show."""
    kept = [pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)]
    for other in kept:
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
    return pickle.dumps(error).decode("latin-1") + "".join(map(repr, kept))


# A peer that resets before the handshake: CPython leaves the socket that it was making to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed .*SSLSocket:ResourceWarning")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.group}-{row.what[:60]}")
def test_a_fault_raises_a_typed_error_in_time_without_secrets(
    row: Row,
    sf: SalesforceEmulator,
    key_pair: KeyPair,
    logged: io.StringIO,
    leaked_secrets: Callable[..., list[str]],
    table: dict[str, dict[str, str]],
) -> None:
    for provider, tries in row.tries.items():
        outcome = outcome_of(row, provider, sf, key_pair, logged)
        error = outcome.error
        assert type(error) is row.raised, error
        assert isinstance(error, AuthenticationError)
        assert outcome.took_s < row.at_most_s
        assert error.attempts == tries or (tries == 1 and error.attempts <= 1), error
        assert outcome.arrived in (None, tries)
        assert row.advice in error.remedy
        assert error.message.isprintable()
        assert len(str(error)) < 1500
        secrets = [*MARKERS, PASSWORD, key_pair.private_key_pem]
        assert leaked_secrets(error, *secrets) == []
        assert leaked_secrets(outcome.logged, *secrets) == []
        assert leaked_secrets(shown_by(error), *secrets) == []
        assert "\x1b" not in outcome.logged
        line = line_of(row, error)
        if os.environ.get("WRITE_FAULT_TABLE"):
            table[row.what] = line
        compared = set(COLUMNS) - ({"message"} if row.group in WORDED_BY_THE_SYSTEM else set())
        assert {name: table[row.what][name] for name in compared} == {name: line[name] for name in compared}


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, dict[str, str]]]:
    """The table in the docs, by description; rewritten with WRITE_FAULT_TABLE=1."""
    if os.environ.get("WRITE_FAULT_TABLE"):
        written: dict[str, dict[str, str]] = {}
        yield written
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(written[row.what] for row in ROWS if row.what in written)
        return
    with TABLE.open(encoding="utf-8", newline="") as file:
        yield {line["what"]: line for line in csv.DictReader(file)}


def test_the_table_has_these_rows_and_no_others(table: dict[str, dict[str, str]]) -> None:
    assert list(table) == [row.what for row in ROWS]
    assert len(table) == len(ROWS) >= 60


def test_every_known_refusal_has_its_row() -> None:
    assert set(REFUSALS) == set(ERROR_ROWS)


@pytest.mark.parametrize(
    "row", [row for row in http.ROWS if "bomb" in row.what or "body" in row.what or "ever" in row.what]
)
def test_no_answer_takes_much_memory(row: Row, sf: SalesforceEmulator, key_pair: KeyPair, logged: io.StringIO) -> None:
    tracemalloc.start()
    try:
        outcome_of(row, "password", sf, key_pair, logged)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
