"""requests: an `auth` that adds the live session, and repeats a request when its token has expired."""

import contextlib
from collections.abc import Iterable, Iterator, MutableMapping
from functools import partial
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
import requests.auth
import requests.cookies
import urllib3.exceptions

from kinetic_auth_core.adapters.not_installed import checked_source
from kinetic_auth_core.adapters.token_scope import TokenScope, carries, detach, holds_token, is_own, origin_of
from kinetic_auth_core.errors import SessionRejectedError
from kinetic_auth_core.oauth.error_codes import MAX_REFUSAL_BYTES, SUSPECT_STATUSES, is_dead_session, is_taken
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource

__all__ = ["SalesforceAuth"]

_CHUNK_BYTES: Final = 65_536
_KEEP_THE_BODY: Final = frozenset({307, 308})  # redirects that are followed with method and body (RFC 9110)


class SalesforceAuth(requests.auth.AuthBase):
    """Authorize requests with a source's live session. Safe for threads, and for any number of requests sessions.

        with requests.Session() as http:
            http.auth = SalesforceAuth(source)
            http.get(f"{source.session().base_url}/limits")

    If the response shows that the token has expired, the source is notified, the first caller logs in for all, and the
    request is repeated once; the first response is in the `history` of the second, as with requests' own
    `HTTPDigestAuth`. A second rejection is returned. So is the first one if the body cannot be sent
    again (a generator, a pipe) or the new session is on another host; the next request uses the new session.

    The token is sent only to the session's own instance, by https or on loopback: `Authorization` is set there, and
    `X-SFDC-Session` if the request has it. A request to any other host keeps its headers, and a warning is logged once
    per host. A redirect to another host does not receive the token; one that would take a body with the token there is
    not followed.

    Args:
        source: The source of the session. It logs in at the first request, regardless of the request's host.
        allowed_token_hosts: Exact names of further hosts that get the token, by https, such as `api.salesforce.com`.

    Raises:
        ConfigurationError: `source` is not a source, or an allowed host is not a host name.
        KineticAuthError: From the request: a login was needed, for the first time or after a rejection, and failed;
            or a redirect would have taken the token to another host.
    """

    def __init__(self, source: SessionSource, *, allowed_token_hosts: Iterable[str] = ()) -> None:
        self._source = checked_source("SalesforceAuth", source)
        self._scope = TokenScope(allowed_token_hosts)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authorize a request that is being prepared, and check its response."""
        session = self._source.session()
        if self._scope.attach(r.headers, origin_of(r.url or ""), session):
            r.register_hook("response", partial(self._answered, session, _position(r.body)))  # type: ignore[no-untyped-call]
        return r

    def _answered(
        self, session: SalesforceSession, position: int | None, response: requests.Response, **options: Any
    ) -> requests.Response:
        """Check a response; the returned one replaces it."""
        if response.is_redirect:
            _detach_on_redirect(response.request.headers, response, session, self._scope)
        if not _is_refused(response, session):
            self._note(response, session)
            return response
        answer, dead = response, session
        for _ in range(2):  # twice only if the second session was not made for this request, and has expired as well
            known = self._source.peek()
            self._source.invalidate(dead)
            if not _rewind(answer.request.body, position):
                return answer
            _ = answer.content  # read completely, so that the connection returns to the pool
            answer.close()
            fresh = self._source.session()
            is_same = fresh.access_token == dead.access_token
            if is_same or not self._scope.covers(origin_of(answer.request.url or ""), fresh):
                return answer  # the source makes no other one for now, or it is elsewhere
            answer = self._again(answer, fresh, options)
            self._note(answer, fresh)
            # A request that was prepared long ago may have outlived the token of now as well.
            was_there = known is not None and known.access_token == fresh.access_token
            if not ((was_there or self._source.was_stored(fresh)) and _is_refused(answer, fresh)):
                break
            dead = fresh
        if answer.is_redirect:  # requests follows it with a copy of the first request
            _detach_on_redirect(response.request.headers, answer, session, self._scope)
        return answer

    def _note(self, answer: requests.Response, session: SalesforceSession) -> None:
        if is_taken(answer.status_code) and carries(answer.request.headers, session):
            self._source.note_taken(session)

    def _again(
        self, refused: requests.Response, fresh: SalesforceSession, options: dict[str, Any]
    ) -> requests.Response:
        """Repeat a request as `HTTPDigestAuth` does: without the hooks, so that it is not repeated again."""
        request = refused.request.copy()
        jar: Any = request._cookies  # type: ignore[attr-defined]  # noqa: SLF001 - as HTTPDigestAuth does
        requests.cookies.extract_cookies_to_jar(jar, refused.request, refused.raw)  # type: ignore[no-untyped-call]
        request.prepare_cookies(jar)
        self._scope.attach(request.headers, origin_of(request.url or ""), fresh)
        connection: requests.adapters.BaseAdapter = refused.connection
        answer = connection.send(request, **options)
        answer.history.append(refused)
        answer.request = request
        return answer


def _is_refused(answer: requests.Response, session: SalesforceSession) -> bool:
    """Whether a response shows that the session of its request has expired."""
    if answer.status_code not in SUSPECT_STATUSES or not carries(answer.request.headers, session):
        return False
    return is_dead_session(answer.status_code, _beginning(answer))


class InstanceSession:
    """A requests session for a client library, whose requests go to the instance of the live session and nowhere else.

    Such a client puts the token into each request itself, and takes URLs from cursors, answers and its caller.
    Everything but the requests is that of the session it wraps.

    Args:
        http: The requests session that carries the requests; its `auth` is set.
        source: The source of the session.
    """

    def __init__(self, http: requests.Session, source: SessionSource) -> None:
        http.auth = SalesforceAuth(source)
        self._http = http
        self._source = source

    def request(self, method: str, url: str, *args: Any, **options: Any) -> requests.Response:
        """As in requests.

        Raises:
            SessionRejectedError: The URL is that of another host. Nothing is sent.
        """
        target, session = origin_of(_as_sent(url)), self._source.session()
        if not is_own(target, session):
            where = target.host if target else "a URL without a host"
            raise SessionRejectedError(
                f"a request to {where} would have taken the session's token there, so it was not sent; the session is "
                f"for {session.instance_url}.",
                remedy="Check where the URL or cursor comes from. Connect again if the org has moved to another host.",
            )
        return self._http.request(method, url, *args, **options)

    def get(self, url: str, **options: Any) -> requests.Response:
        """As in requests."""
        return self.request("GET", url, **options)

    def options(self, url: str, **options: Any) -> requests.Response:
        """As in requests."""
        return self.request("OPTIONS", url, **options)

    def head(self, url: str, **options: Any) -> requests.Response:
        """As in requests."""
        return self.request("HEAD", url, **{"allow_redirects": False, **options})

    def post(self, url: str, data: Any = None, json: Any = None, **options: Any) -> requests.Response:
        """As in requests."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, **options: Any) -> requests.Response:
        """As in requests."""
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: str, data: Any = None, **options: Any) -> requests.Response:
        """As in requests."""
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: str, **options: Any) -> requests.Response:
        """As in requests."""
        return self.request("DELETE", url, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle read these before `_http` is set
            raise AttributeError(name)
        if name == "send":
            raise AttributeError("send: a client of connect() sends by request()")
        return getattr(self._http, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "auth":
            raise AttributeError("auth: a client of connect() gets its token from its source")
        if name.startswith("_") or name in vars(InstanceSession):  # such as `request`, which a test replaces
            super().__setattr__(name, value)
        else:  # such as `verify` and `proxies`
            setattr(self._http, name, value)

    def __delattr__(self, name: str) -> None:
        if name in vars(self):
            super().__delattr__(name)
        else:
            delattr(self._http, name)


def _as_sent(url: str) -> str:
    """A URL as requests sends it: it reads some in another way than the standard library does."""
    try:
        return requests.Request("GET", url).prepare().url or ""
    except requests.RequestException:  # requests says so itself, if it gets that far
        return ""


class _ReplayedBody:
    """A response body that can be read from its beginning, although a part has been read already.

    Args:
        beginning: The part that was read, decompressed.
        rest: urllib3's response.
        failure: The error of reading, which is raised again after the beginning.
    """

    def __init__(self, beginning: bytes, rest: Any, failure: urllib3.exceptions.HTTPError | None) -> None:
        self._beginning = beginning
        self._rest = rest
        self._failure = failure

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
        """As in urllib3."""
        if self._beginning:
            yield self._take(None)
        # Not with urllib3's `stream`: for a chunked body it does not continue where `read` stopped.
        while data := self.read(amt or _CHUNK_BYTES, decode_content):
            yield data

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """As in urllib3; the beginning is always decompressed."""
        taken = self._take(amt)
        if taken and amt is not None:
            return taken
        if self._failure is not None:
            raise self._failure
        rest: bytes = self._rest.read(amt, decode_content=decode_content)
        return taken + rest

    def _take(self, amt: int | None) -> bytes:
        taken = self._beginning[:amt]
        self._beginning = self._beginning[len(taken) :]
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)


def _beginning(response: requests.Response) -> bytes:
    """The body, or slightly more than `MAX_REFUSAL_BYTES` of a longer one; the caller can still read all of it."""
    raw, read, failure = response.raw, b"", None
    try:
        read = raw.read(MAX_REFUSAL_BYTES + 1, decode_content=True)
    except urllib3.exceptions.HTTPError as error:
        failure = error
    response.raw = _ReplayedBody(read, raw, failure)
    # An incomplete body must not be taken for an empty one.
    return read if failure is None else b"?"


def _detach_on_redirect(
    headers: MutableMapping[str, str],
    redirect: requests.Response,
    session: SalesforceSession,
    scope: TokenScope | None = None,
) -> None:
    """Remove the token from a request that is redirected to another host: the next request copies its headers.

    requests itself removes `Authorization`, but not `X-SFDC-Session`, and keeps both if http becomes https.
    """
    if not (scope or TokenScope()).covers(origin_of(urljoin(redirect.url, redirect.headers["Location"])), session):
        if redirect.status_code in _KEEP_THE_BODY and holds_token(redirect.request.body, session):
            raise SessionRejectedError(
                f"{urlsplit(redirect.url).hostname} redirects a request whose body has the session's token to another "
                "host, so it is not followed.",
                remedy="Check the URL of the request; Salesforce does not redirect such calls.",
            )
        detach(headers, session)


def _position(body: Any) -> int | None:
    """The position of a file-like body; None for any other."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return int(body.tell())
    return None


def _rewind(body: Any, position: int | None) -> bool:
    """Prepare a body to be sent again; False if that is impossible."""
    if body is None or isinstance(body, bytes | str):
        return True
    if position is None:
        return False
    try:
        body.seek(position)
    except (AttributeError, OSError, ValueError):
        return False
    return True
