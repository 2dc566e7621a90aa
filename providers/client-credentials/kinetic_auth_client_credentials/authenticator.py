"""The client credentials grant: its settings and its form fields. The core sends the request and reads the answer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Unpack
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core import (
    ConfigurationError,
    GrantAuthenticator,
    LoginRequest,
    login_url_setting,
    setting,
    single_line,
)
from kinetic_auth_core.plugins import ConnectionOptions, frozen

#: The hosts of all orgs. Salesforce answers "request not supported on this domain" there.
_SHARED_HOSTS = frozenset({"login.salesforce.com", "test.salesforce.com"})


def _check_my_domain(_instance: object, _attribute: object, value: object) -> None:
    """Refuse the hosts that all orgs share: they do not take this flow."""
    host = (urlsplit(str(value)).hostname or "").removesuffix(".")
    if host in _SHARED_HOSTS:
        sandbox = "--<sandbox>.sandbox" if host.startswith("test.") else ""
        raise ConfigurationError(
            f"{host} does not take client credentials: write the org's My Domain, "
            f"https://<name>{sandbox}.my.salesforce.com; Setup, My Domain, Current My Domain URL shows it"
        )


@frozen
class ClientCredentialsAuthenticator(GrantAuthenticator):
    """Logs in as an app; the session is that of the user whom the app names as Run As.

    Args:
        client_id: The app's Consumer Key.
        client_secret: The app's Consumer Secret. It also verifies the signature of the answer.
        login_url: The org's My Domain, with https://.

    The settings that every provider has (time-outs, proxy, ...) are keywords; see `GrantAuthenticator`.

    Raises:
        ConfigurationError: Settings are missing or wrong; all are named.
    """

    provider_name: ClassVar[str] = "client-credentials"
    answers_are_signed: ClassVar[bool] = True

    client_id: str = setting(help="Consumer Key of the app.", validator=single_line)
    client_secret: str = setting(help="Consumer Secret of the app.", secret=True, identity=False)
    if TYPE_CHECKING:

        def __init__(
            self,
            client_id: str,
            client_secret: str,
            login_url: str,
            **connection: Unpack[ConnectionOptions],
        ) -> None: ...  # type checkers would take login_url for the first argument, since the base class has it
    else:
        login_url: str = login_url_setting(
            attrs.NOTHING,
            help="The org's My Domain, such as https://acme.my.salesforce.com.",
            validator=_check_my_domain,
        )

    def grant(self, request: LoginRequest) -> Mapping[str, str]:  # noqa: ARG002 - this grant does not use it
        """The form fields: the app's own credentials. Salesforce takes no `scope` here."""
        return {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
