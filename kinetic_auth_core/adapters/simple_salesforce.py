"""simple-salesforce: a client whose session stays alive."""

from typing import Any, Final

import requests

from kinetic_auth_core.adapters.not_installed import checked_source, not_installed
from kinetic_auth_core.adapters.requests import SalesforceAuth
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.sessions.source import SessionSource

try:
    from simple_salesforce.api import Salesforce
except ModuleNotFoundError as error:
    raise not_installed("simple-salesforce", error) from error

__all__ = ["connect"]

_TAKEN: Final = {
    *("username", "password", "security_token", "organizationId", "domain", "client_id"),
    *("consumer_key", "consumer_secret", "privatekey", "privatekey_file"),
    *("session_id", "instance", "instance_url"),
}


class _Client(Salesforce):
    """simple-salesforce's client, whose `session_id` is that of the live session."""

    def __init__(self, source: SessionSource, **options: Any) -> None:
        self._source = source
        live = source.session()
        options.setdefault("version", live.api_version.removeprefix("v"))
        super().__init__(session_id=live.access_token, instance_url=live.instance_url, **options)

    @property
    def session_id(self) -> str:
        """The live token; parts such as `bulk` and the metadata API copy it as they are made."""
        return self._source.session().access_token

    @session_id.setter
    def session_id(self, value: str) -> None:
        """Nothing to do: simple-salesforce sets what it was given."""


def connect(source: SessionSource, *, session: requests.Session | None = None, **options: Any) -> Salesforce:
    """A `simple_salesforce.Salesforce` that outlives its token: REST, `bulk`, `bulk2`, `apexecute` and the rest.

    A call whose token has died is made again by the `requests` adapter, and the caller does not notice. The metadata
    API (`mdapi`) has its token in the body of each call; it begins with the live one and is not renewed.

        client = connect(source)
        client.query("SELECT Id FROM Account")

    simple-salesforce speaks nothing but https, whatever the instance's URL says.

    Args:
        source: Where the session comes from.
        session: A requests session of your own, for its proxies, CAs, retries; its `auth` is set. Default: a new one.
        **options: Further arguments of `Salesforce`, such as `version` (`"62.0"`; default: the session's),
            `parse_float`, `object_pairs_hook`, `proxies`; not those that log in.

    Returns:
        The client. The instance is that of the first session, for good.

    Raises:
        ConfigurationError: An option would log in, or what was given is no source.
        KineticAuthError: The login failed.
    """
    checked_source("connect", source)
    if taken := sorted(_TAKEN & options.keys()):
        raise ConfigurationError(f"{', '.join(taken)}: the source logs in, so simple-salesforce is not told how to.")
    http = session
    if http is None:
        http = requests.Session()
        http.proxies.update(options.pop("proxies", None) or {})  # it would take none for a session that is not its own
    http.auth = SalesforceAuth(source)
    return _Client(source, session=http, **options)
