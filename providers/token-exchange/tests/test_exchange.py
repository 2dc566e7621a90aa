"""From a reference to a session: new tokens, shared sessions, refusals, and no token anywhere."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import SalesforceEmulator
from kinetic_auth_token_exchange import TokenExchangeAuthenticator

AUDIENCE = "https://acme.my.salesforce.com"
PROVIDER = "token-exchange"


def test_a_job_of_github_logs_in(job: str, settings: dict[str, Any], sf: SalesforceEmulator) -> None:
    with kinetic.resolve(PROVIDER, **settings, subject_token=job) as source:
        session = source.session()
    assert sf.holder_of(session.access_token) == (sf.default.username, sf.default.client_id)
    assert sf.token_requests == 1


def test_each_login_sends_a_new_token(job: str, settings: dict[str, Any], sf: SalesforceEmulator) -> None:
    sf.default.app.token_handlers[0].single_use = True
    with kinetic.resolve(PROVIDER, **settings, subject_token=job) as source:
        for _ in range(3):
            source.authenticate()
        source.invalidate(source.session())
        source.session()
    assert [row.status for row in sf.history] == ["Success"] * 5


def test_a_pod_logs_in_again_with_the_renewed_token(
    pod: Callable[..., str], settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    sf.default.app.token_handlers[0].single_use = True
    with kinetic.resolve(PROVIDER, **settings, subject_token=pod()) as source:
        source.session()
        pod()
        source.authenticate()
        with pytest.raises(kinetic.CredentialsRejectedError):
            source.authenticate()
    assert sf.history[-1].status == "Failed: Token handler: used before"


def test_a_stale_token_reaches_nobody(
    pod: Callable[..., str], settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    uri = pod(exp=1_000_000_000)
    with (
        kinetic.resolve(PROVIDER, **settings, subject_token=uri) as source,
        pytest.raises(kinetic.KeyLoadError) as caught,
    ):
        source.session()
    assert "subject_token (from keyword)" in str(caught.value)
    assert sf.token_requests == 0


def test_the_optional_settings_are_sent(job: str, settings: dict[str, Any], sf: SalesforceEmulator) -> None:
    app = sf.default.app
    app.require_secret_for_exchange = True
    app.token_handlers[0].name = "Github"
    app.token_handlers[0].token_type = "urn:ietf:params:oauth:token-type:id_token"
    more = {"scope": "api", "token_handler": "Github", "client_secret": app.client_secret}
    kind = {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}
    with kinetic.resolve(PROVIDER, **settings, **more, **kind, subject_token=job) as source:
        assert source.session().scope == "api"


def test_sources_of_the_same_subject_share_a_session_whatever_their_token(
    pod: Callable[..., str], job: str, settings: dict[str, Any], sf: SalesforceEmulator, tmp_path: Path
) -> None:
    store = {"name": "file", "path": str(tmp_path / "store")}

    def session(**given: Any) -> kinetic.SalesforceSession:
        with kinetic.resolve(PROVIDER, **{**settings, "store": store, **given}) as source:
            return source.session()

    first = session(subject_token=pod())
    assert session(subject_token=pod()) == first
    assert session(subject_token=job) == first
    assert session(subject_token=pod(), scope="api") != first
    sf.default.app.token_handlers[0].subjects["repo:acme/other"] = sf.default.username
    assert session(subject_token=pod("repo:acme/other")) != first
    assert sf.token_requests == 3


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (lambda sf: sf.identity_provider.issue("repo:acme/report:pull_request"), "unknown subject"),
        (lambda sf: sf.identity_provider.issue("s", iss="https://evil.example"), "wrong issuer"),
        (lambda sf: sf.identity_provider.issue("s", headers={"kid": "2"}), "unknown key"),
    ],
    ids=["subject", "issuer", "key"],
)
def test_a_token_that_the_org_refuses_is_a_typed_error_with_the_click(
    forge: Callable[[SalesforceEmulator], str], reason: str, settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    with pytest.raises(kinetic.CredentialsRejectedError) as caught:
        TokenExchangeAuthenticator(**settings, subject_token=forge(sf)).authenticate()
    assert (caught.value.error, caught.value.description) == ("invalid_request", "token handler validation failed")
    assert "Debug Logs" in caught.value.remedy
    assert sf.history[-1].status == f"Failed: Token handler: {reason}"


def test_an_unknown_handler_names_the_click(settings: dict[str, Any], sf: SalesforceEmulator) -> None:
    token = sf.default.subject_token
    with pytest.raises(kinetic.CredentialsRejectedError) as caught:
        TokenExchangeAuthenticator(**settings, subject_token=token, token_handler="Okta").authenticate()
    assert "Enable New App" in caught.value.remedy
    assert sf.token_requests == 1


def test_login_url_has_no_default() -> None:
    with pytest.raises(kinetic.ConfigurationError, match="login_url"):
        kinetic.resolve(PROVIDER, client_id="3MVG9", subject_token="t")


def test_no_token_is_in_any_log_repr_error_or_file_and_no_lasting_secret_is_needed(
    job: str,
    pod: Callable[..., str],
    settings: dict[str, Any],
    sf: SalesforceEmulator,
    leaked: Callable[..., list[str]],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A canary scan: every token that is issued while jobs and pods log in is looked for in all that they leave."""
    caplog.set_level(logging.DEBUG)
    issued: list[str] = []
    issue = sf.identity_provider.issue

    def issue_noted(*args: Any, **kwargs: Any) -> str:
        issued.append(issue(*args, **kwargs))
        return issued[-1]

    monkeypatch.setattr(sf.identity_provider, "issue", issue_noted)
    shown, tokens = [], []
    for uri in (job, pod()):
        with kinetic.resolve(PROVIDER, **settings, subject_token=uri, store={"name": "memory"}) as source:
            tokens.append(source.session().access_token)
            shown += [f"{source.explain()!r} {source!r}"]
            quoted = issued[-1] if uri != job else ""  # the org quotes what it got
            sf.refuse("invalid_request", f"token handler validation failed {quoted}", times=None)
            with pytest.raises(kinetic.AuthenticationError) as caught:
                source.authenticate()
            sf.clear_faults()
            assert leaked(caught.value, *(piece for token in issued for piece in (token, token.split(".")[1]))) == []
            shown += [str(caught.value)]
    assert len(issued) == 3
    pieces = [piece for token in issued for piece in (token, *token.split(".")[1:])]
    printed = capfd.readouterr()
    said = "\n".join([caplog.text, *shown, printed.out, printed.err])
    assert leaked(said, *pieces, *tokens) == []
    names = set(os.environ) & {"SF_CLIENT_SECRET", "SF_PASSWORD", "SF_PRIVATE_KEY", "SF_SUBJECT_TOKEN"}
    assert names == set()
    written = {path: path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()}
    assert list(written) == [tmp_path / "sf"]  # the platform's own, which lives for minutes
    assert sf.default.client_secret not in said + "".join(os.environ.values())
