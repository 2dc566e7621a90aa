"""The token endpoint's answer becomes a session or a typed error."""

import base64
import hashlib
import hmac
import json
import time
from email.utils import formatdate
from typing import Any

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.testing import Alter, Answer, Html, NotJson, SalesforceEmulator, Status
from kinetic_auth_jwt_bearer import JWTAuthenticator
from kinetic_auth_password import OAuthAuthenticator


@pytest.fixture
def jwt(sf: SalesforceEmulator) -> JWTAuthenticator:
    login = sf.default
    return JWTAuthenticator(login.client_id, login.username, private_key=login.private_key_pem, login_url=sf.url)


@pytest.fixture
def password(sf: SalesforceEmulator) -> OAuthAuthenticator:
    login = sf.default
    return OAuthAuthenticator(
        login.client_id, login.client_secret, login.username, login.password, login.security_token, sf.url
    )


def error_of(authenticator: Any) -> kinetic.AuthenticationError:
    with pytest.raises(kinetic.AuthenticationError) as caught:
        authenticator.authenticate()
    return caught.value


def test_a_jwt_login_becomes_a_session_with_the_time_of_the_answer(
    sf: SalesforceEmulator, jwt: JWTAuthenticator
) -> None:
    session = jwt.authenticate()
    assert session.instance_url == sf.url
    assert session.org_id == sf.org_id
    assert session.username == sf.default.username
    assert session.scope.split() == sorted(session.scope.split())
    assert session.signature == ""
    assert len(session.issued_at) == 13
    assert abs(int(session.issued_at) / 1000 - time.time()) < 10


def test_a_password_login_becomes_a_session_with_a_verified_signature(
    sf: SalesforceEmulator, password: OAuthAuthenticator
) -> None:
    session = password.authenticate()
    digest = hmac.new(sf.default.client_secret.encode(), (session.id + session.issued_at).encode(), hashlib.sha256)
    assert session.signature == base64.b64encode(digest.digest()).decode()


@pytest.mark.parametrize("date", ["", "yesterday", formatdate(1_700_000_000, usegmt=True)])
def test_issued_at_is_the_time_of_the_request_where_the_answer_has_none(
    sf: SalesforceEmulator, jwt: JWTAuthenticator, date: str
) -> None:
    sf.break_transport(Answer({"access_token": "t", "instance_url": sf.url, "id": "i"}, headers={"Date": date}))
    assert abs(int(jwt.authenticate().issued_at) / 1000 - time.time()) < 10


def test_an_answer_without_id_is_a_session_whose_org_is_that_of_its_token(
    sf: SalesforceEmulator, jwt: JWTAuthenticator
) -> None:
    sf.break_transport(Answer({"access_token": "00D5g00000AbCdE!t", "instance_url": sf.url}))
    session = jwt.authenticate()
    assert (session.id, session.org_id, session.user_id) == ("", "00D5g00000AbCdE", None)


def a_jwt(**claims: object) -> str:
    parts = ({"alg": "RS256", "typ": "JWT", "tty": "sfdc-core-token"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


@pytest.mark.parametrize(
    ("fields", "headers", "lives_s"),
    [
        ({}, {}, None),
        ({"expires_in": 900}, {}, 900),
        ({"expires_in": "900"}, {}, 900),
        ({"expires_in": 0}, {}, None),
        ({"expires_in": True}, {}, None),
        ({"expires_in": [900]}, {}, None),
        ({"expires_in": 10**400}, {}, None),
        ({"expires_in": "Infinity"}, {}, None),
        ({"access_token": a_jwt(iat=0, exp=1800)}, {"Date": formatdate(0, usegmt=True)}, 1800),
        ({"access_token": a_jwt(iat=0, exp=1800)}, {"Date": formatdate(600, usegmt=True)}, 1200),
        ({"access_token": a_jwt(iat=0, exp=1800)}, {"Date": ""}, 1800),  # far from our clock, as the server's is
        ({"access_token": a_jwt(exp=1800)}, {"Date": formatdate(300, usegmt=True)}, 1500),
        ({"access_token": a_jwt(iat=0, exp="1800")}, {"Date": ""}, 1800),
        ({"access_token": a_jwt(iat=0, exp=1800), "expires_in": 60}, {"Date": ""}, 60),
        ({"access_token": a_jwt(iat=0, exp=1800), "expires_in": 6000}, {"Date": ""}, 1800),
        ({"access_token": a_jwt(iat=0)}, {}, None),
        ({"access_token": "a.b.c"}, {}, None),
    ],
)
def test_a_session_ends_when_answer_or_token_says_so(
    sf: SalesforceEmulator,
    jwt: JWTAuthenticator,
    fields: dict[str, object],
    headers: dict[str, str],
    lives_s: float | None,
) -> None:
    sf.break_transport(Answer({"access_token": "t", "instance_url": sf.url, **fields}, headers=headers))
    ends = jwt.authenticate().expires_at
    if lives_s is None:
        assert ends is None
    else:
        assert ends == pytest.approx(time.time() + lives_s, abs=3)


def test_further_texts_of_the_answer_are_kept_and_no_token_is(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    kept = {"api_instance_url": "https://api.salesforce.com", "token_format": "jwt", "sfdc_community_id": "0DB1"}
    dropped: dict[str, object] = {
        "id_token": "x",
        "refresh_token": "x",
        "lightning_sid": "x",
        "sidCookieName": "x",
        "csrfToken": "x",
        "client_secret": "x",
        "other": "00D5g00000AbCdE!x",
        "encoded": a_jwt(exp=1),
        "repeats": "it is the-token.",
        "echo": jwt.client_id + str(jwt.private_key),
        "number": 5,
        "lines": "a\nb",
    }
    answer = {"access_token": "the-token", "instance_url": sf.url, "id": "i", **kept, **dropped}
    sf.break_transport(Answer(answer))
    assert jwt.authenticate().extra == kept


def test_a_number_as_issued_at_is_taken_as_text(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    sf.break_transport(Alter({"issued_at": 1_700_000_000_123}))
    assert jwt.authenticate().issued_at == "1700000000123"


def test_a_wrong_signature_is_refused(sf: SalesforceEmulator, password: OAuthAuthenticator) -> None:
    sf.break_transport(Alter({"signature": base64.b64encode(bytes(32)).decode()}))
    error = error_of(password)
    assert isinstance(error, kinetic.SessionRejectedError)
    assert "the signature of the answer is wrong, so it does not come from Salesforce" in str(error)


def test_a_non_ascii_signature_is_refused(sf: SalesforceEmulator, password: OAuthAuthenticator) -> None:
    sf.break_transport(Alter({"signature": "ü" * 44}))
    assert isinstance(error_of(password), kinetic.SessionRejectedError)


def test_a_jwt_login_verifies_a_signature_when_it_knows_the_secret(sf: SalesforceEmulator) -> None:
    login = sf.default
    jwt = JWTAuthenticator(
        login.client_id, login.username, private_key=login.private_key_pem, login_url=sf.url, client_secret="other"
    )
    assert jwt.authenticate().is_valid()  # this flow's answer has no signature
    sf.break_transport(Alter({"signature": "c2ln", "issued_at": "1"}))
    assert isinstance(error_of(jwt), kinetic.SessionRejectedError)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://acme.my.salesforce.com", "is plain http"),
        ("ftp://acme.my.salesforce.com", "must begin with https://"),
        ("https://user:pass@acme.my.salesforce.com", "has a user or password in it"),
        ("https://", "names no host"),
        ("https://acme.my.salesforce.com/?a=b", "has a query or fragment"),
        ("https://acme.my.sales force.com", "has a blank"),
        ("https://acme:port", "is not a valid URL"),
    ],
)
def test_an_unsafe_instance_url_is_refused(sf: SalesforceEmulator, jwt: JWTAuthenticator, url: Any, why: str) -> None:
    sf.break_transport(Alter({"instance_url": url}))
    error = error_of(jwt)
    assert isinstance(error, kinetic.SessionRejectedError)
    assert f"the answer's instance_url {why}" in error.message
    assert url not in str(error)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"access_token": None}, "has no `access_token`"),
        ({"instance_url": ""}, "has no `instance_url`"),
        ({"access_token": 5}, "has an invalid `access_token` (not text)"),
        ({"id": ["x"]}, "has an invalid `id` (not text)"),
        ({"scope": {}}, "has an invalid `scope` (not text)"),
        ({"access_token": "a\r\nX-Injected: 1"}, "has an invalid `access_token` (cannot be sent in a header)"),
        ({"access_token": "tökén"}, "has an invalid `access_token` (cannot be sent in a header)"),
        ({"token_type": "Bearer\n"}, "has an invalid `token_type` (cannot be sent in a header)"),
    ],
)
def test_an_answer_with_invalid_fields_is_refused(
    sf: SalesforceEmulator, jwt: JWTAuthenticator, fields: dict[str, Any], why: str
) -> None:
    sf.break_transport(Alter(fields))
    error = error_of(jwt)
    assert type(error) is kinetic.TransportError
    assert f"the token response {why}." in error.message
    assert error.status == 200


@pytest.mark.parametrize("fault", [Html(200), Html(404), NotJson(), Answer(b"[1]"), Answer(b"\xff\xfe"), Answer(b"")])
def test_the_error_for_invalid_json_names_status_and_content_type(
    sf: SalesforceEmulator, jwt: JWTAuthenticator, fault: Any
) -> None:
    sf.break_transport(fault)
    error = error_of(jwt)
    assert type(error) is kinetic.TransportError
    kind = fault.content_type.partition(";")[0]
    why = "that is not a JSON object" if kind.endswith("json") else "instead of JSON"
    assert f"HTTP {fault.status} with {kind} {why}." in error.message
    assert "not Salesforce's token endpoint" in error.remedy
    assert not error.retryable


def test_deeply_nested_json_is_refused(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    sf.break_transport(Answer(b"[" * 100_000))
    assert type(error_of(jwt)) is kinetic.TransportError


@pytest.mark.parametrize("fault", [Html(503), Status(500), Status(502), Status(429, retry_after=90)])
def test_a_busy_or_broken_server_is_transient_and_no_usable_answer(
    sf: SalesforceEmulator, jwt: JWTAuthenticator, fault: Any
) -> None:
    sf.break_transport(fault, times=None)
    error = error_of(jwt)
    assert isinstance(error, kinetic.TransientAuthenticationError)
    assert isinstance(error, kinetic.TransportError)
    assert error.retryable
    assert "status.salesforce.com" in error.remedy


def test_an_unknown_error_passes_through_unchanged_and_without_advice(
    sf: SalesforceEmulator, jwt: JWTAuthenticator
) -> None:
    sf.refuse("brand_new_error", "Something That Nobody Has Seen")
    error = error_of(jwt)
    assert type(error) is kinetic.AuthenticationError
    assert (error.error, error.description) == ("brand_new_error", "Something That Nobody Has Seen")
    assert error.remedy == ""
    assert str(error).endswith("failed: brand_new_error: Something That Nobody Has Seen (HTTP 400).")


def test_an_unknown_error_with_status_500_is_transient(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    sf.refuse("brand_new_error", "", status=500, times=None)
    error = error_of(jwt)
    assert type(error) is kinetic.TransientAuthenticationError
    assert "failed: brand_new_error (HTTP 500). Given up after 4 tries" in str(error)


def test_an_error_in_a_200_answer_is_an_error(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    sf.break_transport(Answer({"error": "invalid_grant", "error_description": "audience is invalid"}))
    assert isinstance(error_of(jwt), kinetic.CredentialsRejectedError)


def test_json_without_an_error_is_a_transport_error(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    sf.break_transport(Answer({"message": "no such thing"}, status=404))
    assert type(error_of(jwt)) is kinetic.TransportError


def test_the_server_s_text_is_quoted_short_printable_and_without_our_secrets(
    sf: SalesforceEmulator, password: OAuthAuthenticator
) -> None:
    echoed = f"bad password {sf.default.password}{sf.default.security_token}\r\n\x1b[31mred" + "x" * 500
    sf.refuse("invalid_grant", echoed)
    error = error_of(password)
    assert error.description is not None
    assert error.description.startswith("bad password ********")
    assert sf.default.password not in str(error)
    assert error.description.isprintable()
    assert len(error.description) <= 300


def test_an_error_description_of_another_type_than_text_is_left_out(
    sf: SalesforceEmulator, jwt: JWTAuthenticator
) -> None:
    sf.break_transport(Answer({"error": "invalid_grant", "error_description": 5}, status=400))
    assert error_of(jwt).description is None


def test_every_error_names_provider_user_and_host(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    sf.refuse("invalid_grant", "audience is invalid")
    error = error_of(jwt)
    host = sf.url.removeprefix("http://")
    assert error.message.startswith(f"jwt-bearer login of {sf.default.username} at {host} failed: ")
    assert (error.provider, error.username, error.host) == ("jwt-bearer", sf.default.username, host)


def test_an_answer_without_its_signature_is_refused(sf: SalesforceEmulator, password: OAuthAuthenticator) -> None:
    sf.break_transport(Alter(drop={"signature"}))
    assert isinstance(error_of(password), kinetic.SessionRejectedError)


def test_an_empty_error_beside_a_session_is_ignored(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    sf.break_transport(Alter({"error": None}))
    assert jwt.authenticate().is_valid()


def test_true_is_not_a_time(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    sf.break_transport(Alter({"issued_at": True}))
    assert "has an invalid `issued_at` (not text)" in str(error_of(jwt))


@pytest.mark.parametrize("word", ["failure", "authentication", "grant"])
def test_a_password_that_is_a_word_of_the_refusal_does_not_hide_the_error(sf: SalesforceEmulator, word: str) -> None:
    source = kinetic.resolve("password", **sf.settings("password") | {"password": word, "security_token": ""})
    before = sf.token_requests
    for _ in range(3):
        with pytest.raises(kinetic.CredentialsRejectedError) as caught:
            source.session()
        assert "invalid_grant: authentication failure" in caught.value.message
        assert caught.value.remedy
    assert sf.token_requests == before + 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, [{"errorCode": "NOT_FOUND", "message": "The resource does not exist"}], kinetic.AuthenticationError),
        (401, {"errorCode": "INVALID_AUTH_HEADER", "message": "Invalid header"}, kinetic.AuthenticationError),
        (403, [{"errorCode": "LOGIN_RATE_EXCEEDED", "message": ""}], kinetic.RateLimitedError),
        (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "later"}], kinetic.TransientAuthenticationError),
    ],
)
def test_an_error_of_the_rest_layer_is_quoted_and_not_called_something_else_than_json(
    sf: SalesforceEmulator, jwt: JWTAuthenticator, status: int, body: Any, kind: type[Exception]
) -> None:
    sf.break_transport(Answer(body, status), times=4)
    error = error_of(jwt)
    first = body[0] if isinstance(body, list) else body
    assert type(error) is kind
    assert f"{first['errorCode']}{': ' * bool(first['message'])}{first['message']} (HTTP {status})." in error.message
    assert "JSON" not in error.message
    assert error.remedy


def test_login_rate_exceeded_asks_for_minutes(sf: SalesforceEmulator, jwt: JWTAuthenticator) -> None:
    for asked, expected in ((None, 300), ("10", 300), ("1200", 1200)):
        headers = {} if asked is None else {"Retry-After": asked}
        refusal = {"error": "invalid_grant", "error_description": "login rate exceeded"}
        sf.break_transport(Answer(refusal, 400, headers=headers))
        error = error_of(jwt)
        assert type(error) is kinetic.RateLimitedError
        assert error.retry_after_s == expected
        assert error.attempts == 1
