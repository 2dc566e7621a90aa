"""httpx: an `auth` for `Client` and `AsyncClient` that adds the live session, and renews it when it has expired."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

from kinetic_auth_core.adapters.not_installed import checked_source, not_installed
from kinetic_auth_core.adapters.token_scope import BULK_HEADER, Origin, TokenScope, carries, holds_token, origin
from kinetic_auth_core.errors import SessionRejectedError
from kinetic_auth_core.oauth.error_codes import MAX_REFUSAL_BYTES, SUSPECT_STATUSES, is_dead_session, is_taken
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource

try:
    import httpx
except ModuleNotFoundError as error:
    raise not_installed("httpx", error) from error

__all__ = ["SalesforceAuth"]


class SalesforceAuth(httpx.Auth):
    """Authorize httpx requests with a source's live session. Safe for threads, tasks and any number of clients.

        async with httpx.AsyncClient(auth=SalesforceAuth(source)) as http:
            session = await source.asession()
            await http.get(f"{session.base_url}/limits")

    It works like `kinetic_auth_core.adapters.requests.SalesforceAuth`: when the token has expired, one login serves all
    and each request is repeated once; the token is sent only to the session's own instance. An `AsyncClient` does not
    block its event loop, which has to be asyncio's, and needs no worker of its executor.

    A body is sent again if it is bytes, a form, JSON, or files that can be rewound. For an iterator or a generator the
    rejection is returned; the next request uses the new session.

    A redirect to another host receives no token: httpx removes `Authorization` from it, and `X-SFDC-Session`, which
    httpx would send on, is in no redirected request. One that would take a body with the token along is not followed.

    Args:
        source: The source of the session. It logs in at the first request, regardless of the request's host.
        allowed_token_hosts: Exact names of further hosts that get the token, by https, such as `api.salesforce.com`.

    Raises:
        ConfigurationError: `source` is not a source, or an allowed host is not a host name.
        KineticAuthError: From the request: a login was needed, for the first time or after a rejection, and failed;
            or a redirect would have taken a body with the token along.
    """

    def __init__(self, source: SessionSource, *, allowed_token_hosts: Iterable[str] = ()) -> None:
        self._source = checked_source("SalesforceAuth", source)
        self._scope = TokenScope(allowed_token_hosts)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The steps for a `Client`; httpx calls it."""
        session = self._source.session()
        position = _position(request.stream)
        response = yield self._authorized(request, session)
        for _ in range(2):  # twice only if the second session comes from the store, and has expired as well
            self._note(response, session)
            if not (
                _is_suspect(request, response, session) and is_dead_session(response.status_code, _beginning(response))
            ):
                return
            self._source.invalidate(session)
            if not _rewind(request.stream, position):
                return
            dead, session = session, self._source.session()
            if session.access_token == dead.access_token or not self._scope.covers(_origin(request), session):
                return  # the source makes no other one for now, or it is elsewhere
            response = yield self._authorized(request, session)
            if not self._source.was_stored(session):
                self._note(response, session)
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The steps for an `AsyncClient`; httpx calls it."""
        session = await self._source.asession()
        position = _position(request.stream)
        response = yield self._authorized(request, session)
        for _ in range(2):  # as above
            self._note(response, session)
            if not (
                _is_suspect(request, response, session)
                and is_dead_session(response.status_code, await _abeginning(response))
            ):
                return
            await _in_a_thread(self._source.invalidate, session)  # it may call a store
            if not _rewind(request.stream, position):
                return
            dead, session = session, await self._source.asession()
            if session.access_token == dead.access_token or not self._scope.covers(_origin(request), session):
                return  # as above
            response = yield self._authorized(request, session)
            if not self._source.was_stored(session):
                self._note(response, session)
                return

    def _note(self, response: httpx.Response, session: SalesforceSession) -> None:
        if is_taken(response.status_code) and carries(response.request.headers, session):
            self._source.note_taken(session)

    def _authorized(self, request: httpx.Request, session: SalesforceSession) -> httpx.Request:
        if self._scope.attach(request.headers, _origin(request), session):
            if BULK_HEADER in request.headers:
                request.headers = _HeadersOfOneRequest(request.headers, session.access_token)
            if isinstance(request.stream, httpx.ByteStream) and holds_token(body := request.read(), session):
                request.stream = _BodyOfOneRequest(body)
        return request


async def _in_a_thread(function: Callable[[SalesforceSession], None], session: SalesforceSession) -> None:
    """Call a function in a thread of its own: all workers of the event loop's executor may wait for this very call."""
    result: Future[None] = Future()
    result.set_running_or_notify_cancel()

    def run() -> None:
        try:
            function(session)
        except BaseException as error:  # noqa: BLE001 - raised by the task that waits
            result.set_exception(error)
        else:
            result.set_result(None)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="kinetic-auth invalidate", daemon=True).start()
    await asyncio.wrap_future(result)


class _HeadersOfOneRequest(httpx.Headers):
    """Headers of a request with `X-SFDC-Session`, which no copy of them has.

    httpx makes the headers of a redirected request by copying these, and removes `Authorization` alone.

    Args:
        headers: The headers.
        token: The value of `X-SFDC-Session`.
    """

    def __init__(self, headers: httpx.Headers, token: str) -> None:
        super().__init__([pair for pair in headers.raw if pair[0].lower() != BULK_HEADER.lower().encode()])
        self._token = token

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        return [*super().raw, (BULK_HEADER.encode(), self._token.encode())]

    def __contains__(self, key: object) -> bool:
        return _is_bulk_header(key) or super().__contains__(key)

    def __getitem__(self, key: str) -> str:
        return self._token if _is_bulk_header(key) else super().__getitem__(key)

    def __setitem__(self, key: str, value: str) -> None:
        if _is_bulk_header(key):
            self._token = value
        else:
            super().__setitem__(key, value)


class _BodyOfOneRequest(httpx.ByteStream):
    """A body with a token, which is sent once: httpx would send it to wherever a redirect leads (307, 308)."""

    _is_sent = False

    def __iter__(self) -> Iterator[bytes]:
        self._send()
        yield from super().__iter__()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._send()
        async for chunk in super().__aiter__():
            yield chunk

    def _send(self) -> None:
        if self._is_sent:
            raise SessionRejectedError(
                "a request whose body has the session's token is redirected, so it is not followed.",
                remedy="Check the URL of the request; Salesforce does not redirect such calls.",
            )
        self._is_sent = True


def _is_bulk_header(key: object) -> bool:
    return isinstance(key, str) and key.lower() == BULK_HEADER.lower()


class _ReplayedBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A raw response body that can be read from its beginning, although a part has been read already.

    Args:
        beginning: The part that was read.
        rest: Iterates over the rest: an iterator, or an asynchronous one for an `AsyncClient`.
        whole: httpx's stream.
    """

    def __init__(self, beginning: list[bytes], rest: Any, whole: Any) -> None:
        self._beginning = beginning
        self._rest = rest
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        yield from self._beginning
        yield from self._rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._beginning:
            yield chunk
        async for chunk in self._rest:
            yield chunk

    def close(self) -> None:
        self._whole.close()

    async def aclose(self) -> None:
        await self._whole.aclose()


def _beginning(response: httpx.Response) -> bytes:
    """The body, or more than `MAX_REFUSAL_BYTES` of a longer one; the caller can still read all of it.

    Raises:
        httpx.TransportError: The body is incomplete.
    """
    stream: Any = response.stream
    rest, read = iter(stream), list[bytes]()
    for chunk in rest:
        read.append(chunk)
        if sum(map(len, read)) > MAX_REFUSAL_BYTES:
            break
    response.stream = _ReplayedBody(read, rest, stream)
    return _decoded(response, read)


async def _abeginning(response: httpx.Response) -> bytes:
    """As `_beginning`, for an `AsyncClient`."""
    stream: Any = response.stream
    rest, read = aiter(stream), list[bytes]()
    async for chunk in rest:
        read.append(chunk)
        if sum(map(len, read)) > MAX_REFUSAL_BYTES:
            break
    response.stream = _ReplayedBody(read, rest, stream)
    return _decoded(response, read)


def _decoded(response: httpx.Response, read: list[bytes]) -> bytes:
    """What was read, decompressed; unchanged if it is too long or cannot be decompressed."""
    body = b"".join(read)
    if len(body) <= MAX_REFUSAL_BYTES:
        with contextlib.suppress(httpx.DecodingError):
            return httpx.Response(response.status_code, headers=response.headers, content=body).content
    return body


def _is_suspect(request: httpx.Request, response: httpx.Response, session: SalesforceSession) -> bool:
    """Whether a response may reject this session. After a redirect the request may not have its token."""
    if BULK_HEADER in request.headers and BULK_HEADER not in response.request.headers:
        return False
    return response.status_code in SUSPECT_STATUSES and carries(response.request.headers, session)


def _origin(request: httpx.Request) -> Origin:
    return origin(request.url.scheme, request.url.raw_host.decode("ascii"), request.url.port)


def _files(stream: Any) -> list[Any] | None:
    """The files of a body; an empty list for bytes; None for any other body."""
    if isinstance(stream, httpx.ByteStream):
        return []
    if (fields := getattr(stream, "fields", None)) is not None:  # a multipart form: httpx rewinds its files
        return [file for field in fields if hasattr(file := getattr(field, "file", b""), "read")]
    file = getattr(stream, "_stream", None) if isinstance(stream, httpx.SyncByteStream) else None
    return [file] if hasattr(file, "read") else None


def _position(stream: Any) -> list[int] | None:
    """The positions of a body's files; None if they are unknown, so that the body cannot be sent again."""
    with contextlib.suppress(AttributeError, OSError, ValueError, TypeError):
        files = _files(stream)
        return None if files is None else [int(file.tell()) for file in files]
    return None


def _rewind(stream: Any, position: list[int] | None) -> bool:
    """Prepare a body to be sent again; False if that is impossible."""
    if position is None:
        return False
    try:
        for file, place in zip(_files(stream) or [], position, strict=True):
            file.seek(place)
    except (AttributeError, OSError, ValueError):
        return False
    return True
