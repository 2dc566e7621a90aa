"""The signature of the answer: proof that the server knows the client secret."""

from __future__ import annotations

from typing import Any

import pytest

from kinetic_auth_core import AuthenticationError, SessionRejectedError
from kinetic_auth_core.testing import Alter, SalesforceEmulator
from kinetic_auth_password import OAuthAuthenticator


@pytest.mark.parametrize(
    "altered",
    [
        {"signature": "bm90IHRoZSByaWdodCBvbmU="},
        {"signature": "not base64"},
        {"signature": "sîgnature"},
        {"id": "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA"},
        {"issued_at": "1700000000000"},
    ],
    ids=str,
)
def test_an_answer_with_a_wrong_signature_is_rejected(
    altered: dict[str, str], settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    sf.break_transport(Alter(altered))
    with pytest.raises(SessionRejectedError) as caught:
        OAuthAuthenticator(**settings).authenticate()
    error, host = caught.value, sf.url.removeprefix("http://")
    assert isinstance(error, AuthenticationError)
    assert str(error) == (
        f"password login of {settings['username']} at {host} failed: the signature of the answer is wrong, so it does "
        "not come from Salesforce. Remedy: Check login_url, and that client_secret is the secret of this very app."
    )
    assert not error.retryable
    assert error.status == 200


@pytest.mark.parametrize("field", ["signature", "id", "issued_at"])
def test_invalid_unicode_in_an_answer_is_a_failed_login(
    field: str, settings: dict[str, Any], sf: SalesforceEmulator
) -> None:
    sf.break_transport(Alter({field: "\ud800"}))
    with pytest.raises(AuthenticationError):
        OAuthAuthenticator(**settings).authenticate()


def test_the_refusal_shows_neither_the_token_nor_the_signature(
    settings: dict[str, Any], sf: SalesforceEmulator, leaked: Any
) -> None:
    sf.break_transport(Alter({"signature": "canary-signature", "access_token": "canary-access"}))
    with pytest.raises(SessionRejectedError) as caught:
        OAuthAuthenticator(**settings).authenticate()
    assert leaked(caught.value, "canary-signature", "canary-access", settings["client_secret"]) == []


def test_the_signature_is_handed_on(settings: dict[str, Any]) -> None:
    session = OAuthAuthenticator(**settings).authenticate()
    assert len(session.signature) == 44
    assert session.signature not in repr(session)
