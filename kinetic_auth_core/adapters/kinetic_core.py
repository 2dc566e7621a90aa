"""kinetic-core: its client, its bulk client and its metadata client with a session that is renewed.

They call `requests.get(...)` and the like, so no `auth` can be passed. Here they are subclassed, and the global name
`requests` in the methods of the subclass is another object, whose calls use a requests session with our auth.
kinetic-core's own classes and modules, and requests, are not changed. See docs/adr/0012.
"""

from collections.abc import Mapping
from functools import update_wrapper
from types import FunctionType
from typing import Any

import requests

from kinetic_auth_core.adapters.not_installed import checked_source, not_installed
from kinetic_auth_core.adapters.requests import InstanceSession
from kinetic_auth_core.sessions.source import SessionSource

try:
    import kinetic_core  # type: ignore[import-untyped]  # it ships no types
    from kinetic_core.metadata.soap_client import MetadataSOAPClient  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise not_installed("kinetic-core", error) from error

__all__ = ["connect"]


def connect(source: SessionSource, *, session: requests.Session | None = None) -> Any:
    """A `kinetic_core.SalesforceClient` whose token is renewed, also in its `bulk` and `metadata` clients.

    A request whose token has expired is repeated, also between two pages of a query or in the middle of a bulk job.
    Connections are kept open between calls. A request to any other host than the session's instance is refused.

        client = connect(source)
        client.query("SELECT Id FROM Account")

    Args:
        source: The source of the session.
        session: Your own requests session, with proxies, CAs and retries; its `auth` is set. Default: a new one.

    Returns:
        The client, an instance of a subclass of `kinetic_core.SalesforceClient`.

    Raises:
        ConfigurationError: `source` is not a source.
        KineticAuthError: The login failed. From a call: it would have gone to another host.
    """
    checked_source("connect", source)
    http = InstanceSession(requests.Session() if session is None else session, source)
    live = LiveSession(source)
    names = {"requests": _Requests(http)}
    client = _with_globals(kinetic_core.SalesforceClient, names)(live)
    # It would create its own at first use.
    client._bulk_client = _with_globals(kinetic_core.BulkV2Client, names)(live)  # noqa: SLF001
    client._metadata_client = _with_globals(kinetic_core.MetadataClient, names)(live)  # noqa: SLF001
    client._metadata_client.soap_client = _renewing(_with_globals(MetadataSOAPClient, names), source)(live)  # noqa: SLF001
    return client


class LiveSession:
    """Behaves like a session, and reads each attribute from the source's live session. `repr` shows no secret.

    Args:
        source: The source of the session.
    """

    def __init__(self, source: SessionSource) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle read these before `_source` is set
            raise AttributeError(name)
        return getattr(self._source.session(), name)

    def __repr__(self) -> str:
        """The source."""
        return f"LiveSession({self._source!r})"


class _Requests:
    """The module requests, with the HTTP functions of our requests session."""

    def __init__(self, http: InstanceSession) -> None:
        self._http = http

    def __getattr__(self, name: str) -> Any:
        ours = name in {"delete", "get", "head", "options", "patch", "post", "put", "request"}
        return getattr(self._http if ours else requests, name)


def _renewing(cls: Any, source: SessionSource) -> Any:
    """A SOAP client of the metadata API, which replaces the token in the envelope when it has expired."""

    class SoapClient(cls):  # type: ignore[misc]  # kinetic-core is untyped
        def _send_request(self, soap_envelope: str) -> Any:
            carried = source.session()
            try:
                return super()._send_request(soap_envelope)
            except RuntimeError as fault:
                if "INVALID_SESSION_ID" not in str(fault) or carried.access_token not in soap_envelope:
                    raise
            source.invalidate(carried)
            return super()._send_request(soap_envelope.replace(carried.access_token, source.session().access_token))

    return SoapClient


def _with_globals(cls: type, names: Mapping[str, Any]) -> Any:
    """A subclass whose methods use these global names instead of those of their module."""
    methods = {}
    for name, each in vars(cls).items():
        if isinstance(each, FunctionType):
            namespace = {**each.__globals__, **names}
            method = FunctionType(each.__code__, namespace, name, each.__defaults__, each.__closure__)
            method.__kwdefaults__ = each.__kwdefaults__
            methods[name] = update_wrapper(method, each)
    return type(cls.__name__, (cls,), {"__module__": __name__, "__doc__": cls.__doc__, **methods})
