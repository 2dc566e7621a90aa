"""A session from an access token that is there already. Nothing is sent to log in."""

import os
import time
from typing import ClassVar, NoReturn
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core import (
    ConfigurationError,
    CredentialsRejectedError,
    LoginRequest,
    SalesforceSession,
    hookimpl,
    login_url_setting,
    setting,
)
from kinetic_auth_core.plugins import ValidatedMeta, api_version_setting, ca_bundle_setting


def _check_token(_instance: object, _attribute: object, value: object) -> None:
    """Refuse what cannot be sent in a header; the text does not quote the token."""
    if not all("!" <= char <= "~" for char in str(value)):
        raise ConfigurationError("has a blank, a line break or another character that no access token has")
    if str(value).startswith("[REDACTED]"):
        raise ConfigurationError("is the text that sf shows in place of a token: use sf org auth show-access-token")


def _check_instance(_instance: object, _attribute: object, value: object) -> None:
    """Refuse a path, and the hosts that serve a browser and no API."""
    parts = urlsplit(str(value))
    host = (parts.hostname or "").removesuffix(".")
    if parts.path.strip("/"):
        raise ConfigurationError(f"must be the host alone: write {parts.scheme}://{parts.netloc}")
    name = host.removesuffix(".lightning.force.com")
    if name != host:
        raise ConfigurationError(f"is the address of the browser: write https://{name}.my.salesforce.com")
    if host in {"login.salesforce.com", "test.salesforce.com"}:
        raise ConfigurationError("is a login host: write the org's My Domain, https://<name>.my.salesforce.com")


@attrs.define(eq=False)
class _Refusals:
    """Whether the token has been refused."""

    seen: bool = False


@attrs.frozen
class AccessTokenAuthenticator(metaclass=ValidatedMeta):
    """Uses an access token that a gateway, a CI job or a command has obtained.

    Its session stays in memory and is never stored. After a 401 nothing is sent with the same token again.

    Args:
        access_token: The access token: opaque (`00D...!...`) or a JWT.
        instance_url: The org's own URL, with https://.
        api_version: REST API version of the session; default: `SF_API_VERSION`, else v62.0.
        ca_bundle: File or folder of CA certificates, for what the source asks about the session (`is_alive`).

    Raises:
        ConfigurationError: Settings are missing or wrong; all are named.
    """

    provider_name: ClassVar[str] = "access-token"
    never_stored: ClassVar[bool] = True

    access_token: str = setting(help="Access token of a session.", secret=True, validator=_check_token)
    # Checked as a login URL is: it is the host that gets the token, and a found file must not redirect that.
    instance_url: str = login_url_setting(
        attrs.NOTHING, help="The org's own URL, such as https://acme.my.salesforce.com.", validator=_check_instance
    )
    api_version: str = api_version_setting()
    ca_bundle: str | os.PathLike[str] | None = ca_bundle_setting()
    _refusals: _Refusals = attrs.field(init=False, repr=False, eq=False, factory=_Refusals)

    @hookimpl
    def authenticate(self, request: LoginRequest | None = None) -> SalesforceSession:
        """Return the session of the token.

        Args:
            request: What the session is for; after a 401 it has the refused one.

        Raises:
            CredentialsRejectedError: The token was refused before.
        """
        rejected = request.rejected if request else None
        if rejected is not None and rejected.access_token == self.access_token:
            self._refusals.seen = True
        if self._refusals.seen:
            raise CredentialsRejectedError(
                f"the access token for {urlsplit(self.instance_url).netloc} was refused, and there is no other one: "
                "nothing is sent with it again.",
                remedy="Obtain a new access token where this one came from, and set access_token (SF_ACCESS_TOKEN).",
                provider=self.provider_name,
                host=urlsplit(self.instance_url).netloc,
            )
        return SalesforceSession(
            self.access_token,
            self.instance_url,
            "",
            str(int(time.time() * 1000)),
            api_version=self.api_version,
        )

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it holds a token."""
        raise TypeError(f"{type(self).__name__} holds a token and is not pickled; make or resolve it in the worker")
