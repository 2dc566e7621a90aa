"""Each error of the token endpoint, over real HTTP, with each provider: type, fields, remedy, and no secret."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from fault_rows.refusals import REFUSALS
from kinetic_auth_core import AuthenticationError, CredentialsRejectedError, TransientAuthenticationError
from kinetic_auth_core.oauth.error_codes import known_error, remedy_for
from kinetic_auth_core.testing import ERROR_ROWS, SalesforceEmulator

# How often a login is tried: only transient errors are retried.
TRIES: Mapping[type[AuthenticationError], int] = {TransientAuthenticationError: 4}

GRANT_TYPES = {"jwt-bearer": "urn:ietf:params:oauth:grant-type:jwt-bearer", "password": "password"}

LogIn = Callable[[], kinetic.SalesforceSession]


@pytest.fixture(scope="module")
def running(full_tier: None) -> Iterator[SalesforceEmulator]:
    with SalesforceEmulator() as emulator:
        yield emulator


@pytest.fixture
def sf(running: SalesforceEmulator) -> SalesforceEmulator:
    running.clear_faults()
    running.forget_requests()
    return running


@pytest.fixture(params=["jwt-bearer", "password"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def authenticator(provider: str, sf: SalesforceEmulator) -> Iterator[Any]:
    login = sf.default
    made = (
        kinetic.JWTAuthenticator(login.client_id, login.username, login.private_key_pem, login_url=sf.url)
        if provider == "jwt-bearer"
        else kinetic.OAuthAuthenticator(
            login.client_id, login.client_secret, login.username, login.password, login.security_token, sf.url
        )
    )
    yield made
    made.close()


def refused(log_in: LogIn) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        log_in()
    return caught.value


def shown(error: BaseException) -> str:
    """All that an error reporter could print, except the locals of the tests, which are the secrets."""
    captured = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True, compact=False)
    here = str(Path(__file__).parent)
    captured.stack = traceback.StackSummary.from_list(
        [frame for frame in captured.stack if not frame.filename.startswith(here)]
    )
    return "\n".join([*captured.format(), repr(error), str(error), str(vars(error)), str(error.args)])


def secrets(sf: SalesforceEmulator) -> list[str]:
    login = sf.default
    key = [line for line in login.private_key_pem.splitlines() if "-----" not in line]
    assertion_begins = "eyJhbGciOi"  # {"alg":
    return [login.password, login.security_token, login.client_secret, assertion_begins, *(line[:16] for line in key)]


@pytest.mark.parametrize(("error", "description"), ERROR_ROWS)
def test_each_row_raises_its_type_with_its_remedy(
    error: str, description: str, provider: str, authenticator: Any, sf: SalesforceEmulator
) -> None:
    advice, expected = REFUSALS[error, description]
    tries = TRIES.get(expected, 1)
    sf.refuse(error, description, times=tries)
    raised = refused(authenticator.authenticate)
    host = sf.url.removeprefix("http://")
    row = known_error(error, description)
    assert row is not None
    assert type(raised) is expected
    assert (raised.error, raised.description, raised.status) == (error, description or None, 400)
    assert raised.retryable is (expected is TransientAuthenticationError)
    assert (raised.provider, raised.host, raised.username) == (provider, host, sf.default.username)
    assert raised.remedy == remedy_for(row, GRANT_TYPES[provider])
    assert advice in raised.remedy
    answer = f"{error}: {description}" if description else error
    message, _, given_up = raised.message.partition(" Given up after 4 tries within ")
    assert message == f"{provider} login of {sf.default.username} at {host} failed: {answer} (HTTP 400)."
    assert bool(given_up) is (tries == 4)
    assert str(raised) == f"{raised.message} Remedy: {raised.remedy}"
    assert [secret for secret in secrets(sf) if secret in shown(raised)] == []
    assert raised.attempts == sf.token_requests == tries


@pytest.mark.parametrize(
    ("error", "description"),
    [
        ("invalid_grant", "Authentication Failure"),
        ("invalid_grant", "authentication failure - details follow"),
        ("invalid_request", "refresh_token scope is required for this app"),
        ("invalid_grant", " audience is invalid "),
    ],
)
def test_a_known_error_is_recognised_regardless_of_case_spaces_and_further_words(
    error: str, description: str, authenticator: Any, sf: SalesforceEmulator
) -> None:
    sf.refuse(error, description)
    raised = refused(authenticator.authenticate)
    assert isinstance(raised, CredentialsRejectedError)
    assert raised.remedy


@pytest.mark.parametrize(("error", "description"), [("invalid_grant", "something new"), ("brand_new", "")])
def test_an_unknown_error_passes_through_without_invented_advice(
    error: str, description: str, authenticator: Any, sf: SalesforceEmulator
) -> None:
    sf.refuse(error, description)
    raised = refused(authenticator.authenticate)
    assert type(raised) is AuthenticationError
    assert (raised.error, raised.description, raised.remedy, raised.retryable) == (
        error,
        description or None,
        "",
        False,
    )
    assert "Remedy" not in str(raised)
    assert sf.token_requests == 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_the_status_is_reported_and_does_not_change_the_type_of_a_known_error(
    status: int, authenticator: Any, sf: SalesforceEmulator
) -> None:
    sf.refuse("invalid_grant", "authentication failure", status)
    raised = refused(authenticator.authenticate)
    assert type(raised) is CredentialsRejectedError
    assert raised.status == status
    assert f"(HTTP {status})" in str(raised)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_unknown_error_with_a_transient_status_is_transient(
    status: int, authenticator: Any, sf: SalesforceEmulator
) -> None:
    sf.refuse("brand_new", "something new", status, times=4)
    raised = refused(authenticator.authenticate)
    assert type(raised) is TransientAuthenticationError
    assert raised.retryable
    assert "status.salesforce.com" in raised.remedy
    assert sf.token_requests == 4


def test_after_a_refusal_the_same_authenticator_logs_in(authenticator: Any, sf: SalesforceEmulator) -> None:
    sf.refuse("brand_new", "something new")
    refused(authenticator.authenticate)
    assert sf.is_live(authenticator.authenticate().access_token)
    assert sf.token_requests == 2
