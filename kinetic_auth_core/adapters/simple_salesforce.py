"""simple-salesforce: a client whose session is renewed."""

from typing import Any, Final

import requests

from kinetic_auth_core.adapters.not_installed import checked_source, not_installed
from kinetic_auth_core.adapters.requests import InstanceSession
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.sessions.source import SessionSource

try:
    from simple_salesforce.api import Salesforce
    from simple_salesforce.metadata import SfdcMetadataApi
except ModuleNotFoundError as error:
    raise not_installed("simple-salesforce", error) from error

__all__ = ["connect"]

_LOGIN_OPTIONS: Final = {
    *("username", "password", "security_token", "organizationId", "domain", "client_id"),
    *("consumer_key", "consumer_secret", "privatekey", "privatekey_file"),
    *("session_id", "instance", "instance_url"),
}


class _Client(Salesforce):
    """simple-salesforce's client, whose `session_id` is that of the live session."""

    def __init__(self, source: SessionSource, **options: Any) -> None:
        self._source = source
        live = source.session()
        if not live.instance_url.startswith("https:"):
            raise ConfigurationError(
                f"simple-salesforce uses https only, but the session is for {live.instance_url}.",
                remedy="Start the emulator with TLS: SalesforceEmulator(tls=True), or kinetic-auth emulator --tls; the "
                "CA is its ca_bundle (SF_CA_BUNDLE), for session.verify.",
            )
        options.setdefault("version", live.api_version.removeprefix("v"))
        super().__init__(session_id=live.access_token, instance_url=live.instance_url, **options)

    @property
    def session_id(self) -> str:
        """The live token; parts such as `bulk` and the metadata API copy it when they are created."""
        return self._source.session().access_token

    @session_id.setter
    def session_id(self, value: str) -> None:
        """Ignored: simple-salesforce sets its argument here."""

    @property
    def headers(self) -> Any:
        """The headers of each call, with the live token; applications use them for requests of their own."""
        self._headers.update(self._source.session().auth_header)
        return self._headers

    @headers.setter
    def headers(self, value: Any) -> None:
        self._headers = value

    @property
    def mdapi(self) -> Any:
        """The metadata API. Each of its calls carries the live token."""
        if self._mdapi is None:
            self._mdapi = _Metadata(
                source=self._source,
                session=self.session,
                session_id=self.session_id,
                instance=self.sf_instance,
                metadata_url=self.metadata_url,
                api_version=self.sf_version,
                headers=self.headers,
            )
        return self._mdapi


class _Metadata(SfdcMetadataApi):
    """simple-salesforce's metadata API, whose token is that of the live session."""

    def __init__(self, source: SessionSource, **options: Any) -> None:
        self._source = source
        super().__init__(**options)
        # It gives zeep no session: one of zeep's own would ignore proxies and CAs, and follow redirects with the token.
        transport = self._client.transport
        transport.session.close()
        transport.session, transport._close_session = self.session, False  # noqa: SLF001 - it is not zeep's to close

    @property
    def _session_id(self) -> str:
        return self._source.session().access_token

    @_session_id.setter
    def _session_id(self, value: str) -> None:
        """Ignored: simple-salesforce sets its argument here."""

    @property
    def _session_header(self) -> Any:
        """The header of the next SOAP call, with the live token."""
        client: Any = self._client
        return client.get_element("ns0:SessionHeader")(sessionId=self._session_id)

    @_session_header.setter
    def _session_header(self, value: Any) -> None:
        """Ignored, as above."""


def connect(source: SessionSource, *, session: requests.Session | None = None, **options: Any) -> Salesforce:
    """A `simple_salesforce.Salesforce` whose token is renewed, for REST, `bulk`, `bulk2`, `apexecute` and the rest.

    The `requests` adapter repeats a call whose token has expired. A call of the metadata API (`mdapi`) has its token in
    its body: it carries the live one, and is not repeated.

        client = connect(source)
        client.query("SELECT Id FROM Account")

    simple-salesforce uses https only. A request to any other host than the session's instance, as a foreign cursor of
    `query_more` asks for, is refused.

    Args:
        source: The source of the session.
        session: Your own requests session, with proxies, CAs and retries; its `auth` is set. Default: a new one.
        **options: Further arguments of `Salesforce`, such as `version` (`"62.0"`; default: the session's),
            `parse_float`, `object_pairs_hook`, `proxies`; not the login options.

    Returns:
        The client. Its instance is always that of the first session.

    Raises:
        ConfigurationError: A login option was given, `source` is not a source, or its session is for plain http.
        KineticAuthError: The login failed. From a call: it would have gone to another host.
    """
    checked_source("connect", source)
    if options_given := sorted(_LOGIN_OPTIONS & options.keys()):
        raise ConfigurationError(f"{', '.join(options_given)}: not accepted here, because the source logs in.")
    http = session
    if http is None:
        http = requests.Session()
        http.proxies.update(options.pop("proxies", None) or {})  # it ignores them for a foreign session
    return _Client(source, session=InstanceSession(http, source), **options)
