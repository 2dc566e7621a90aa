"""kinetic-core: its client, its bulk client and its metadata client with a session that stays alive.

They call `requests.get(...)` and the like, and so leave no place for an `auth`. Here they are subclassed, and the
methods of the subclass find another `requests` where theirs find the module: one whose calls go through a requests
session with our auth. kinetic-core's own classes and modules, and requests, stay as they are.
"""

from collections.abc import Mapping
from functools import update_wrapper
from types import FunctionType
from typing import Any

import requests

from kinetic_auth_core.adapters.not_installed import checked_source, not_installed
from kinetic_auth_core.adapters.requests import SalesforceAuth
from kinetic_auth_core.sessions.source import SessionSource

try:
    import kinetic_core  # type: ignore[import-untyped]  # it ships no types
    from kinetic_core.metadata.soap_client import MetadataSOAPClient  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise not_installed("kinetic-core", error) from error

__all__ = ["connect"]


def connect(source: SessionSource, *, session: requests.Session | None = None) -> Any:
    """A `kinetic_core.SalesforceClient` that outlives its token, its `bulk` and `metadata` clients included.

    A call whose token has died is made again, and the caller does not notice, not even between two pages of a query or
    in the middle of a bulk job. Connections are kept open from call to call.

        client = connect(source)
        client.query("SELECT Id FROM Account")

    Args:
        source: Where the session comes from.
        session: A requests session of your own, for its proxies, CAs, retries; its `auth` is set. Default: a new one.

    Returns:
        The client, an instance of a subclass of `kinetic_core.SalesforceClient`.

    Raises:
        ConfigurationError: What was given is no source.
        KineticAuthError: The login failed.
    """
    checked_source("connect", source)
    http = requests.Session() if session is None else session
    http.auth = SalesforceAuth(source)
    live = CachedSession(source)
    names = {"requests": _Requests(http)}
    client = _over(kinetic_core.SalesforceClient, names)(live)
    # Where it would put its own, made at first use.
    client._bulk_client = _over(kinetic_core.BulkV2Client, names)(live)  # noqa: SLF001
    client._metadata_client = _over(kinetic_core.MetadataClient, names)(live)  # noqa: SLF001
    client._metadata_client.soap_client = _renewing(_over(MetadataSOAPClient, names), source)(live)  # noqa: SLF001
    return client


class CachedSession:
    """Stands where a session is asked for, and is the source's live one at each access. It shows nothing of it.

    Args:
        source: Where the session comes from.
    """

    def __init__(self, source: SessionSource) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle ask for such before there is a source
            raise AttributeError(name)
        return getattr(self._source.session(), name)

    def __repr__(self) -> str:
        """Whose session it is."""
        return f"CachedSession({self._source!r})"


class _Requests:
    """The module requests, but that its functions for HTTP are those of a session of ours."""

    def __init__(self, http: requests.Session) -> None:
        self._http = http

    def __getattr__(self, name: str) -> Any:
        ours = name in {"delete", "get", "head", "options", "patch", "post", "put", "request"}
        return getattr(self._http if ours else requests, name)


def _renewing(cls: Any, source: SessionSource) -> Any:
    """A SOAP client of the metadata API, which has its token in the envelope: made anew when it is dead."""

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


def _over(cls: type, names: Mapping[str, Any]) -> Any:
    """A subclass whose methods find these names in place of those of their module."""
    methods = {}
    for name, each in vars(cls).items():
        if isinstance(each, FunctionType):
            seen = {**each.__globals__, **names}
            method = FunctionType(each.__code__, seen, name, each.__defaults__, each.__closure__)
            method.__kwdefaults__ = each.__kwdefaults__
            methods[name] = update_wrapper(method, each)
    return type(cls.__name__, (cls,), {"__module__": __name__, "__doc__": cls.__doc__, **methods})
