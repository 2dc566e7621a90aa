"""The token endpoint's answer: any status, headers and body make a session or one of our errors, and show no secret.

An input is `status`, header lines, an empty line, the body.
"""

import pickle
from collections.abc import Iterator

from requests.structures import CaseInsensitiveDict

from kinetic_auth_core.errors import AuthenticationError
from kinetic_auth_core.locations import url_problem
from kinetic_auth_core.oauth.endpoints import RequestContext, read_response, refusal
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.transport.client import TokenRequest, TokenResponse

SECRET = "canary-secret"
_CONTEXT = RequestContext("password", "acme.my.salesforce.com", "ada@acme.com")
_REQUEST = TokenRequest({"grant_type": "password", "client_id": "key", "password": SECRET}, [SECRET])
_SESSION = (
    b'{"access_token": "00D5g!AQ", "instance_url": "https://acme.my.salesforce.com", "token_type": "Bearer", '
    b'"id": "https://login.salesforce.com/id/00D5g00000AbCdEEAC/0055g00000XyZwVAAA", "issued_at": "1700000000000", '
    b'"signature": "c2ln"}'
)


def seeds() -> Iterator[bytes]:
    """Ordinary answers, and unusual ones."""
    yield b"200\nContent-Type: application/json\nDate: Tue, 24 Nov 2026 11:00:00 GMT\n\n" + _SESSION
    yield b"200\nDate: Mon, 01 Jan 0001 00:00:00 -0000\n\n" + _SESSION.replace(b"issued_at", b"x")
    yield b"200\nDate: Fri, 31 Dec 9999 23:59:59 -2359\n\n" + _SESSION.replace(b"issued_at", b"x")
    yield b'400\n\n{"error": "invalid_grant", "error_description": "authentication failure"}'
    yield b'400\n\n{"error": "invalid_grant", "error_description": "canary-secret is wrong"}'
    yield b"503\nContent-Type: text/html; charset=x\n\n<html>"
    yield b"429\n\n[[[[1]]]]"
    yield b'200\n\n\xef\xbb\xbf{"error": 1e999, "id": "\\ud800"}'


def check(data: bytes) -> None:
    """Read an answer.

    Args:
        data: The answer.
    """
    head, _, body = data.partition(b"\n\n")
    status, *lines = head.decode("latin-1").split("\n")
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(
        (name, value.strip()) for name, _, value in (line.partition(":") for line in lines)
    )
    number = int(status) if status.isascii() and status.isdigit() and len(status) == 3 else 200
    response = TokenResponse(number, headers, body, at=0.0)
    for secret in (None, SECRET):
        try:
            _judge(read_response(response, _CONTEXT, _REQUEST, api_version="v62.0", client_secret=secret))
        except AuthenticationError as error:
            _judge(error)
    _judge(refusal(response, _CONTEXT, _REQUEST))


def _judge(outcome: SalesforceSession | AuthenticationError) -> None:
    assert SECRET not in repr(outcome)
    assert SECRET not in str(outcome)
    if isinstance(outcome, AuthenticationError):
        assert str(outcome).isprintable()
        assert SECRET.encode() not in pickle.dumps(outcome)
        return
    assert outcome.is_valid()
    assert url_problem(outcome.instance_url) is None
    assert all(" " <= char <= "~" for char in outcome.auth_header["Authorization"])
    assert outcome.access_token not in repr(outcome) or outcome.access_token in repr(_without(outcome))
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def _without(session: SalesforceSession) -> SalesforceSession:
    """The session without its token: text that its `repr` still shows was there by chance."""
    return SalesforceSession(
        "-", session.instance_url, session.id, session.issued_at, scope=session.scope, username=session.username
    )
