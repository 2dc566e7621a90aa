"""The token of a GitHub Actions job: asked for at each login, bounded, and with a remedy where there is none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from kinetic_auth_core import KeyLoadError
from kinetic_auth_core.testing import Answer, Delay, Dribble, Huge, NotJson, Redirect, Reset, SalesforceEmulator, Status
from kinetic_auth_token_exchange import OidcLoader, github

AUDIENCE = "https://acme.my.salesforce.com"
JOB = f"oidc://github?audience={AUDIENCE}"
PATH = "/identity-provider/token/*"


def failure(reference: Any, uri: str = JOB) -> KeyLoadError:
    with pytest.raises(KeyLoadError) as caught:
        OidcLoader().load_key(reference(uri))
    return caught.value


def test_each_load_asks_for_a_new_token_of_the_audience(job: str, sf: SalesforceEmulator, reference: Any) -> None:
    first, second = (OidcLoader().load_key(reference(job)) for _ in range(2))
    assert first != second
    assert sf.count("GET", status=200) == 2


@pytest.mark.parametrize("audience", ["salesforce", "a b&c=d#e", "ümlaut", "https://acme.my.salesforce.com/?x=1&y=2"])
def test_the_audience_arrives_as_it_was_written(audience: str, job: str, reference: Any) -> None:
    found = github.ask(audience)
    assert isinstance(found, github.Answer)
    token = found.token()
    assert token is not None


def test_outside_of_a_job_the_error_says_so(reference: Any) -> None:
    error = failure(reference)
    assert error.message == (
        f"{JOB}: this is not a GitHub job: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN not set."
    )


def test_a_job_without_the_permission_is_told_which_one(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    error = failure(reference)
    assert "the job may not ask for a token" in error.message
    assert "permissions: {id-token: write" in error.remedy


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_github_names_the_permission(
    status: int, job: str, sf: SalesforceEmulator, reference: Any
) -> None:
    sf.break_transport(Status(status), path=PATH)
    error = failure(reference)
    assert error.message == f"{JOB}: GitHub refuses to issue a token (HTTP {status})."
    assert "id-token: write" in error.remedy


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Answer({"value": 7}), "GitHub's answer has no token"),
        (Answer({"value": ""}), "GitHub's answer has no token"),
        (Answer([]), "GitHub's answer has no token"),
        (NotJson(), "GitHub's answer has no token"),
        (Answer({"value": "opaque"}), "the token is not a signed JWT"),
        (Status(404), "GitHub answers with HTTP 404"),
        (Redirect("https://elsewhere.example/"), "GitHub: the host redirects to https://elsewhere.example/ (HTTP 302)"),
        (Huge(), "GitHub: the answer is longer than 1048576 bytes"),
    ],
    ids=["a number", "empty", "a list", "not JSON", "opaque", "404", "redirect", "huge"],
)
def test_an_unusable_answer_is_reported_and_not_asked_for_again(
    fault: Any, what: str, job: str, sf: SalesforceEmulator, reference: Any
) -> None:
    sf.break_transport(fault, path=PATH, times=None)
    assert failure(reference).message.startswith(f"{JOB}: {what}")
    assert sf.count("GET") == 1


def test_a_token_for_another_audience_does_not_leave(job: str, sf: SalesforceEmulator, reference: Any) -> None:
    sf.break_transport(Answer({"value": sf.identity_provider.issue("s", aud="vault")}), path=PATH)
    assert failure(reference).message == f"{JOB}: the token is for 'vault', not for {AUDIENCE!r} alone."
    assert sf.token_requests == 0


@pytest.mark.parametrize("fault", [Status(503), Reset("request")], ids=["503", "reset"])
def test_a_passing_failure_is_tried_again(fault: Any, job: str, sf: SalesforceEmulator, reference: Any) -> None:
    sf.break_transport(fault, path=PATH, times=2)
    assert OidcLoader().load_key(reference(job)).count(b".") == 2
    sf.break_transport(fault, path=PATH, times=3)
    assert "www.githubstatus.com" in failure(reference).remedy


@pytest.mark.parametrize("fault", [Delay(60), Dribble(0.05, endless=True)], ids=["silence", "dribble"])
def test_a_silent_or_dribbling_service_ends_in_time(
    fault: Any, job: str, sf: SalesforceEmulator, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "DEADLINE_S", 0.3)
    sf.break_transport(fault, path=PATH, times=None)
    began = time.monotonic()
    failure(reference)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://pipelines.example/token?api-version=2.0", "is plain http"),
        ("ftp://pipelines.example/token", "must begin with https://"),
        ("https://user:pw@pipelines.example/token", "has a user or password in it"),
        ("https://[::1/token", "is not a valid URL"),
    ],
)
def test_the_runners_token_goes_only_to_https(
    url: str, what: str, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(github.URL, url)
    monkeypatch.setenv(github.TOKEN, "canary-request-token")
    error = failure(reference)
    assert error.message.startswith(f"{JOB}: ACTIONS_ID_TOKEN_REQUEST_URL {what}")
    assert error.message.endswith("so nothing was sent.")


def test_over_https_the_ca_of_the_environment_counts(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with SalesforceEmulator(tls=True) as sf:
        for name, value in sf.identity_provider.github_variables("s").items():
            monkeypatch.setenv(name, value)
        assert "certificate" in failure(reference).message
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sf.ca_bundle))
        assert OidcLoader().load_key(reference(JOB)).count(b".") == 2


def test_neither_token_is_shown(
    job: str,
    sf: SalesforceEmulator,
    reference: Any,
    leaked: Callable[..., list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    request_token = sf.identity_provider.github_variables("s")[github.TOKEN]
    stale = sf.identity_provider.issue("s", exp=1)
    good = OidcLoader().load_key(reference(job)).decode()
    for fault in (Answer({"value": stale}), Answer(f"no {stale} {request_token}".encode()), Redirect(f"/?t={stale}")):
        sf.break_transport(fault, path=PATH)
        assert leaked(failure(reference), stale, request_token) == []
    assert leaked(caplog.text, stale, request_token, good, good.split(".")[1]) == []
