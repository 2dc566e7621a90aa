"""httpx: an `auth` for `Client` and `AsyncClient` that carries the live session, and renews it when its token died."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

from kinetic_auth_core.adapters.not_installed import checked_source, not_installed
from kinetic_auth_core.adapters.token_scope import InstanceOnly, Origin, carries, is_own, origin
from kinetic_auth_core.oauth.invalid_session import MAX_REFUSAL_BYTES, SUSPECT_STATUSES, is_dead_session
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

    It does what `kinetic_auth_core.adapters.requests.SalesforceAuth` does: one new login for all and one more try when
    the token is dead; the token for the session's own instance only. An `AsyncClient` never blocks its event loop,
    which has to be asyncio's.

    A body is sent again if it is bytes, a form, JSON, or files that can be rewound; for an iterator or a generator the
    refusal is handed back, and the next request is right.

    httpx takes `Authorization` off a redirect to another host by itself, but no other header: use no
    `follow_redirects=True` on requests that have `X-SFDC-Session`.

    Args:
        source: Where the session comes from. It logs in at the first request, to whichever host that goes.

    Raises:
        ConfigurationError: What was given is no source.
        KineticAuthError: From the request: a login was needed, for the first time or after a refusal, and failed.
    """

    def __init__(self, source: SessionSource) -> None:
        self._source = checked_source("SalesforceAuth", source)
        self._instance_only = InstanceOnly()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The steps for a `Client`; httpx calls it."""
        session = self._source.session()
        position = _position(request.stream)
        response = yield self._authorized(request, session)
        for _ in range(2):  # twice only where the other session comes out of the store, and is dead as well
            if not (_is_suspect(response, session) and is_dead_session(response.status_code, _beginning(response))):
                return
            self._source.invalidate(session)
            if not _rewind(request.stream, position):
                return
            session = self._source.session()
            if not is_own(_origin(request), session):
                return
            response = yield self._authorized(request, session)
            if not self._source.was_stored(session):
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The steps for an `AsyncClient`; httpx calls it."""
        session = await self._source.asession()
        position = _position(request.stream)
        response = yield self._authorized(request, session)
        for _ in range(2):  # as above
            if not (
                _is_suspect(response, session) and is_dead_session(response.status_code, await _abeginning(response))
            ):
                return
            await asyncio.to_thread(self._source.invalidate, session)  # a store may have to be asked
            if not _rewind(request.stream, position):
                return
            session = await self._source.asession()
            if not is_own(_origin(request), session):
                return
            response = yield self._authorized(request, session)
            if not self._source.was_stored(session):
                return

    def _authorized(self, request: httpx.Request, session: SalesforceSession) -> httpx.Request:
        self._instance_only.attach(request.headers, _origin(request), session)
        return request


class _PutBack(httpx.SyncByteStream):
    """A body whose beginning has been read, to be read from its beginning all the same; as it came over the wire."""

    def __init__(self, beginning: list[bytes], rest: Iterator[bytes], whole: httpx.SyncByteStream) -> None:
        self._beginning = beginning
        self._rest = rest
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        yield from self._beginning
        yield from self._rest

    def close(self) -> None:
        self._whole.close()


class _AsyncPutBack(httpx.AsyncByteStream):
    """As `_PutBack`, for an `AsyncClient`."""

    def __init__(self, beginning: list[bytes], rest: AsyncIterator[bytes], whole: httpx.AsyncByteStream) -> None:
        self._beginning = beginning
        self._rest = rest
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._beginning:
            yield chunk
        async for chunk in self._rest:
            yield chunk

    async def aclose(self) -> None:
        await self._whole.aclose()


def _beginning(response: httpx.Response) -> bytes:
    """The body, or more than `MAX_REFUSAL_BYTES` of one that is too long; whoever reads it next still gets all of it.

    Raises:
        httpx.TransportError: It broke off.
    """
    stream: Any = response.stream
    rest, read = iter(stream), list[bytes]()
    for chunk in rest:
        read.append(chunk)
        if sum(map(len, read)) > MAX_REFUSAL_BYTES:
            break
    response.stream = _PutBack(read, rest, stream)
    return _decoded(response, read)


async def _abeginning(response: httpx.Response) -> bytes:
    """As `_beginning`, for an `AsyncClient`."""
    stream: Any = response.stream
    rest, read = aiter(stream), list[bytes]()
    async for chunk in rest:
        read.append(chunk)
        if sum(map(len, read)) > MAX_REFUSAL_BYTES:
            break
    response.stream = _AsyncPutBack(read, rest, stream)
    return _decoded(response, read)


def _decoded(response: httpx.Response, read: list[bytes]) -> bytes:
    """What was read, decompressed; as it is where it is too long or cannot be."""
    body = b"".join(read)
    if len(body) <= MAX_REFUSAL_BYTES:
        with contextlib.suppress(httpx.DecodingError):
            return httpx.Response(response.status_code, headers=response.headers, content=body).content
    return body


def _is_suspect(response: httpx.Response, session: SalesforceSession) -> bool:
    """Whether an answer may be a refusal of this session. Redirects may have led to where it was not sent."""
    return response.status_code in SUSPECT_STATUSES and carries(response.request.headers, session)


def _origin(request: httpx.Request) -> Origin:
    return origin(request.url.scheme, request.url.raw_host.decode("ascii"), request.url.port)


def _files(stream: Any) -> list[Any] | None:
    """The files that a body is read from; none for bytes; None where it is something else, or nobody knows what."""
    if isinstance(stream, httpx.ByteStream):
        return []
    if (fields := getattr(stream, "fields", None)) is not None:  # a multipart form: httpx rewinds its files itself
        return [file for field in fields if hasattr(file := getattr(field, "file", b""), "read")]
    file = getattr(stream, "_stream", None) if isinstance(stream, httpx.SyncByteStream) else None
    return [file] if hasattr(file, "read") else None


def _position(stream: Any) -> list[int] | None:
    """Where the files of a body stand; None where that cannot be known, and the body not be sent again."""
    with contextlib.suppress(AttributeError, OSError, ValueError, TypeError):
        files = _files(stream)
        return None if files is None else [int(file.tell()) for file in files]
    return None


def _rewind(stream: Any, position: list[int] | None) -> bool:
    """Make a body ready to be sent again; False if that cannot be."""
    if position is None:
        return False
    try:
        for file, place in zip(_files(stream) or [], position, strict=True):
            file.seek(place)
    except (AttributeError, OSError, ValueError):
        return False
    return True
