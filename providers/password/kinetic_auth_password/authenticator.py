"""The username-password grant: its settings and its form fields. The core sends the request and reads the answer."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Unpack

import attrs

from kinetic_auth_core import GrantAuthenticator, LoginRequest, Once, login_url_setting, setting, single_line
from kinetic_auth_core.plugins import ConnectionOptions, frozen

logger = logging.getLogger(__name__)

_RETIRING = (
    "Salesforce ends the username-password flow on 2027-02-20; orgs created since Summer '23 block it by default, and "
    "External Client Apps do not have it: move to 'client-credentials' (kinetic-auth-client-credentials) or "
    "'jwt-bearer' (kinetic-auth-jwt-bearer)"
)
#: Made once in a process: the warning has been given.
_warned: Once[bool] = Once()


def _warn_of_token(username: str) -> bool:
    logger.warning(
        "the password of %s already ends with the security token, so Salesforce gets the token twice and refuses the "
        "login: leave it out of password (SF_PASSWORD), or leave security_token (SF_SECURITY_TOKEN) empty",
        username,
    )
    return True


def _warn(username: str, login_url: str) -> bool:
    logger.warning("%s (user %s at %s)", _RETIRING, username, login_url)
    return True


@frozen
class OAuthAuthenticator(GrantAuthenticator):
    """Logs in with a user's password.

    Args:
        client_id: The app's Consumer Key.
        client_secret: The app's Consumer Secret. It also verifies the signature of the answer.
        username: The Salesforce username.
        password: The user's password.
        security_token: The user's security token, which is appended to the password; empty if the org trusts this
            machine's address.
        login_url: The host that logs in, with https://.

    The settings that every provider has (time-outs, proxy, ...) are keywords; see `GrantAuthenticator`.

    Raises:
        ConfigurationError: Settings are missing or wrong; all are named.
    """

    provider_name: ClassVar[str] = "password"
    answers_are_signed: ClassVar[bool] = True
    counts_failed_logins: ClassVar[bool] = True
    sent_as_one: ClassVar[tuple[str, ...]] = ("password", "security_token")

    client_id: str = setting(help="Consumer Key of the connected app.", validator=single_line)
    client_secret: str = setting(help="Consumer Secret of the connected app.", secret=True, identity=False)
    username: str = setting(help="Salesforce username.", validator=single_line)
    password: str = setting(help="The user's password.", secret=True, identity=False)
    security_token: str = setting(
        default="", help="The user's security token, appended to the password.", secret=True, identity=False
    )
    if TYPE_CHECKING:

        def __init__(  # noqa: PLR0917 - the settings of the flow
            self,
            client_id: str,
            client_secret: str,
            username: str,
            password: str,
            security_token: str = "",
            login_url: str = ...,
            **connection: Unpack[ConnectionOptions],
        ) -> None: ...  # type checkers would take login_url for the first argument, since the base class has it
    else:
        login_url: str = login_url_setting()
    _token_twice: Once[bool] = attrs.field(init=False, repr=False, eq=False, factory=Once)

    def grant(self, request: LoginRequest) -> Mapping[str, str]:  # noqa: ARG002 - this grant does not use it
        """The form fields; Salesforce wants password and security token in one."""
        _warned.get(lambda: _warn(self.username, self.login_url))
        if self.security_token and self.password.endswith(self.security_token):
            self._token_twice.get(lambda: _warn_of_token(self.username))
        return {
            "grant_type": "password",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "username": self.username,
            "password": self.password + self.security_token,
        }
