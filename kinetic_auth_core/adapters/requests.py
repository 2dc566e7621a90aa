"""requests: an `auth` that carries the live session, and sends a request again when its token has died."""

import contextlib
from collections.abc import Iterator, MutableMapping
from functools import partial
from typing import Any, Final
from urllib.parse import urljoin

import requests
import requests.auth
import requests.cookies
import urllib3.exceptions

from kinetic_auth_core.adapters.not_installed import checked_source
from kinetic_auth_core.adapters.token_scope import InstanceOnly, carries, detach, is_own, origin_of
from kinetic_auth_core.oauth.invalid_session import MAX_REFUSAL_BYTES, SUSPECT_STATUSES, is_dead_session
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource

__all__ = ["SalesforceAuth"]

_CHUNK_BYTES: Final = 65_536


class SalesforceAuth(requests.auth.AuthBase):
    """Authorize requests with a source's live session. Safe for threads, and for any number of requests sessions.

        with requests.Session() as http:
            http.auth = SalesforceAuth(source)
            http.get(f"{source.session().base_url}/limits")

    When the answer says that the token is dead (see `refusals.is_dead_session`), the source is told, whoever asks first
    logs in for all, and the request is sent again, once; the first answer is in the `history` of the second, as with
    requests' own `HTTPDigestAuth`. A second refusal is handed back. So is the first one if the body cannot be sent
    again (a generator, a pipe) or the new session lives on another host; the next request is right then.

    The token goes only to the session's own instance, by https or on loopback: `Authorization` is set there, and
    `X-SFDC-Session` where the request has it. A request to any other host keeps the headers that it has, and a warning
    is logged once per host. A redirect to another host leaves the token behind.

    Args:
        source: Where the session comes from. It logs in at the first request, to whichever host that goes.

    Raises:
        ConfigurationError: What was given is no source.
        KineticAuthError: From the request: a login was needed, for the first time or after a refusal, and failed.
    """

    def __init__(self, source: SessionSource) -> None:
        self._source = checked_source("SalesforceAuth", source)
        self._instance_only = InstanceOnly()

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authorize a request that is being prepared, and watch for its answer."""
        session = self._source.session()
        if self._instance_only.attach(r.headers, origin_of(r.url or ""), session):
            r.register_hook("response", partial(self._answered, session, _position(r.body)))  # type: ignore[no-untyped-call]
        return r

    def _answered(
        self, session: SalesforceSession, position: int | None, response: requests.Response, **options: Any
    ) -> requests.Response:
        """Look at an answer; the one that is returned takes its place."""
        if response.is_redirect:
            _leave_behind(response.request.headers, response, session)
        if not _is_refused(response, session):
            return response
        answer, dead = response, session
        for _ in range(2):  # twice only where the other session comes out of the store, and is dead as well
            self._source.invalidate(dead)
            if not _rewind(answer.request.body, position):
                return answer
            _ = answer.content  # all of it, so that the connection goes back to the pool
            answer.close()
            fresh = self._source.session()
            if not is_own(origin_of(answer.request.url or ""), fresh):
                return answer
            answer = self._again(answer, fresh, options)
            if not (self._source.was_stored(fresh) and _is_refused(answer, fresh)):
                break
            dead = fresh
        if answer.is_redirect:  # which requests follows with a copy of the request that it knows: the first one
            _leave_behind(response.request.headers, answer, session)
        return answer

    def _again(
        self, refused: requests.Response, fresh: SalesforceSession, options: dict[str, Any]
    ) -> requests.Response:
        """Send a request once more, the way `HTTPDigestAuth` does: past the hooks, so that there is no third time."""
        request = refused.request.copy()
        jar: Any = request._cookies  # type: ignore[attr-defined]  # noqa: SLF001 - as HTTPDigestAuth does
        requests.cookies.extract_cookies_to_jar(jar, refused.request, refused.raw)  # type: ignore[no-untyped-call]
        request.prepare_cookies(jar)
        self._instance_only.attach(request.headers, origin_of(request.url or ""), fresh)
        connection: requests.adapters.BaseAdapter = refused.connection
        answer = connection.send(request, **options)
        answer.history.append(refused)
        answer.request = request
        return answer


def _is_refused(answer: requests.Response, session: SalesforceSession) -> bool:
    """Whether an answer says that the session which its request carried is dead."""
    if answer.status_code not in SUSPECT_STATUSES or not carries(answer.request.headers, session):
        return False
    return is_dead_session(answer.status_code, _beginning(answer))


class _PutBack:
    """A body whose beginning has been read, to be read from its beginning all the same.

    Args:
        beginning: What was read, decompressed.
        rest: urllib3's response.
        failure: What reading ran into, to be met again by the one who reads on.
    """

    def __init__(self, beginning: bytes, rest: Any, failure: urllib3.exceptions.HTTPError | None) -> None:
        self._beginning = beginning
        self._rest = rest
        self._failure = failure

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
        """As urllib3's."""
        if self._beginning:
            yield self._take(None)
        # Not by urllib3's `stream`: for a chunked body it would not go on where `read` has left off.
        while data := self.read(amt or _CHUNK_BYTES, decode_content):
            yield data

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """As urllib3's; the beginning is decompressed whatever was asked for."""
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
    """The body, or the first byte too many of one that is too long; whoever comes next still gets all of it."""
    raw, read, failure = response.raw, b"", None
    try:
        read = raw.read(MAX_REFUSAL_BYTES + 1, decode_content=True)
    except urllib3.exceptions.HTTPError as error:
        failure = error
    response.raw = _PutBack(read, raw, failure)
    # A body that broke off has not said what it had to say: it must not pass for an empty one.
    return read if failure is None else b"?"


def _leave_behind(headers: MutableMapping[str, str], redirect: requests.Response, session: SalesforceSession) -> None:
    """Take the token off a request that is redirected elsewhere: the next one is made from a copy of its headers.

    requests itself takes `Authorization` off, not `X-SFDC-Session`; and it leaves both where http becomes https.
    """
    if not is_own(origin_of(urljoin(redirect.url, redirect.headers["Location"])), session):
        detach(headers, session)


def _position(body: Any) -> int | None:
    """Where a file-like body stands; None for any other."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return int(body.tell())
    return None


def _rewind(body: Any, position: int | None) -> bool:
    """Make a body ready to be sent again; False if that cannot be."""
    if body is None or isinstance(body, bytes | str):
        return True
    if position is None:
        return False
    try:
        body.seek(position)
    except (AttributeError, OSError, ValueError):
        return False
    return True
