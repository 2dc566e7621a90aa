"""A machine with a wrong clock can log in, and gets a warning."""

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import Answer, SalesforceEmulator
from kinetic_auth_core.testing.emulator.keys import new_key_pair
from kinetic_auth_core.transport.connections import tallied

EXPIRED = ("invalid_grant", "expired authorization code")


@pytest.fixture
def sf(full_tier: None) -> Iterator[SalesforceEmulator]:
    """An org of the test's own, as its clock is turned; it takes no `exp` that is far ahead."""
    with SalesforceEmulator() as org:
        org.policy.strict_exp = True
        yield org


def jwt(sf: SalesforceEmulator, **settings: Any) -> Any:
    login = sf.default
    settings = {"private_key": login.private_key_pem, "login_url": sf.url, **settings}
    return kinetic.JWTAuthenticator(login.client_id, login.username, **settings)


def cost(authenticator: Any) -> int:
    """Log in; how many requests that took."""
    with tallied() as tally:
        assert authenticator.authenticate().is_valid()
    return tally.attempts


def refused(authenticator: Any) -> kinetic.AuthenticationError:
    with pytest.raises(kinetic.AuthenticationError) as caught:
        authenticator.authenticate()
    error = caught.value
    assert type(error) is kinetic.AuthenticationError
    assert (error.error, error.description) == EXPIRED
    assert "Set it by NTP" in error.remedy
    return error


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("ahead_s", "expected"),
    [(3600, "behind that of 127.0.0.1"), (-3600, "ahead of that of 127.0.0.1"), (80_000, "behind")],
)
def test_a_wrong_clock_costs_one_extra_request_once(
    sf: SalesforceEmulator, caplog: pytest.LogCaptureFixture, ahead_s: float, expected: str
) -> None:
    sf.advance(ahead_s)
    authenticator = jwt(sf)
    assert cost(authenticator) == 2
    (warning,) = warnings(caplog)
    assert expected in warning
    seconds = re.search(r"clock is (\d+) s ", warning)
    assert seconds
    assert int(seconds[1]) == pytest.approx(abs(ahead_s), abs=2)
    assert "Set the clock by NTP" in warning
    assert cost(authenticator) == 1
    assert len(warnings(caplog)) == 1


def test_a_clock_that_drifts_further_is_corrected_again(sf: SalesforceEmulator) -> None:
    authenticator = jwt(sf)
    sf.advance(1000)
    assert cost(authenticator) == 2
    for _ in range(4):
        sf.advance(150)
        assert cost(authenticator) == 1


def test_a_corrected_clock_is_used_again(sf: SalesforceEmulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    authenticator = jwt(sf)
    sf.advance(3600)
    assert cost(authenticator) == 2
    sf.advance(-3600)
    assert cost(authenticator) == 2
    assert "clock is right again" in caplog.text
    assert len(warnings(caplog)) == 1
    assert cost(authenticator) == 1


def test_a_difference_that_salesforce_tolerates_changes_nothing(
    sf: SalesforceEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    sf.advance(100)
    authenticator = jwt(sf)
    assert cost(authenticator) == 1
    assert cost(authenticator) == 1
    assert not warnings(caplog)


def test_a_refusal_while_the_clocks_agree_is_final(sf: SalesforceEmulator) -> None:
    sf.advance(3)
    sf.refuse(*EXPIRED, times=None)
    assert refused(jwt(sf)).attempts == 1
    assert sf.token_requests == 1


@pytest.mark.parametrize("ahead_s", [3 * 86400, -3 * 86400])
def test_a_clock_difference_of_days_is_ignored(sf: SalesforceEmulator, ahead_s: float) -> None:
    sf.advance(ahead_s)
    assert refused(jwt(sf)).attempts == 1


def test_an_answer_without_a_valid_date_corrects_nothing(sf: SalesforceEmulator) -> None:
    sf.advance(3600)
    body = {"error": EXPIRED[0], "error_description": EXPIRED[1]}
    sf.break_transport(Answer(body, status=400, headers={"Date": "yesterday"}))
    assert refused(jwt(sf)).attempts == 1


def test_an_assertion_is_signed_again_once_and_a_failed_correction_is_discarded(
    sf: SalesforceEmulator,
) -> None:
    sf.advance(3600)
    authenticator = jwt(sf)
    sf.refuse(*EXPIRED, times=2)
    assert refused(authenticator).attempts == 2
    assert sf.token_requests == 2
    assert cost(authenticator) == 2


def test_a_transient_failure_in_between_is_retried(sf: SalesforceEmulator) -> None:
    sf.advance(3600)
    sf.refuse("unknown_error", "retry your request")
    assert cost(jwt(sf)) == 3


def test_the_keys_of_a_list_share_the_clock_correction(sf: SalesforceEmulator) -> None:
    other = new_key_pair()
    authenticator = jwt(sf, private_key=[other.private_key_pem, sf.default.private_key_pem])
    sf.advance(3600)
    assert cost(authenticator) == 3  # the wrong key, the right one, and that signed again
    sf.refuse("invalid_grant", "invalid assertion")
    sf.upload_certificate(sf.default.app, other.certificate_pem)
    assert cost(authenticator) == 2  # refused with the one, signed by the server's clock with the other


def test_a_grant_is_given_the_servers_time(sf: SalesforceEmulator) -> None:
    seen: list[float] = []

    class Noting(type(jwt(sf))):  # type: ignore[misc]
        def grant(self, request: kinetic.LoginRequest) -> Any:
            seen.append(request.now - time.time())
            return super().grant(request)

    login = sf.default
    sf.advance(3600)
    Noting(login.client_id, login.username, login.private_key_pem, login_url=sf.url).authenticate()
    assert seen == [pytest.approx(0, abs=1), pytest.approx(3600, abs=2)]
