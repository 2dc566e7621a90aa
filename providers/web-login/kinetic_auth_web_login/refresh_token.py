"""The refresh token grant (RFC 6749, section 6), for a token that may rotate."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Unpack

from kinetic_auth_core import GrantAuthenticator, LoginRequest, login_url_setting, setting, single_line
from kinetic_auth_core.plugins import ConnectionOptions, frozen


def refresh_form(client_id: str, client_secret: str | None, refresh_token: str) -> dict[str, str]:
    """The form fields that ask for a new access token.

    Args:
        client_id: The app's Consumer Key.
        client_secret: The app's Consumer Secret; None: the app does not require it.
        refresh_token: The refresh token.
    """
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    return form if client_secret is None else {**form, "client_secret": client_secret}


def new_refresh_token(answer: Mapping[str, object]) -> str | None:
    """The refresh token in an answer; None where it has none, so that the one that was sent stays valid."""
    token = answer.get("refresh_token")
    return token if isinstance(token, str) and token else None


@frozen
class RefreshTokenAuthenticator(GrantAuthenticator):
    """Logs in with a refresh token. Where the app rotates it, the newest one is kept in the session store.

    Args:
        client_id: The app's Consumer Key.
        refresh_token: The refresh token to begin with. A new one here replaces whatever was kept.
        client_secret: The app's Consumer Secret, where the app requires it for refreshes.
        login_url: The host that logs in, with https://.

    The settings that every provider has (time-outs, proxy, ...) are keywords; see `GrantAuthenticator`.

    Raises:
        ConfigurationError: Settings are missing or wrong; all are named.
    """

    provider_name: ClassVar[str] = "refresh-token"
    single_use: ClassVar[bool] = True

    client_id: str = setting(help="Consumer Key of the app.", validator=single_line)
    refresh_token: str = setting(
        help="Refresh token to begin with; its successors are kept in the session store.",
        secret=True,
        validator=single_line,
    )
    client_secret: str | None = setting(
        default=None, help="Consumer Secret, where the app requires it for refreshes.", secret=True, identity=False
    )
    if TYPE_CHECKING:

        def __init__(
            self,
            client_id: str,
            refresh_token: str,
            client_secret: str | None = None,
            login_url: str = ...,
            **connection: Unpack[ConnectionOptions],
        ) -> None: ...  # type checkers would take login_url for the first argument, since the base class has it
    else:
        login_url: str = login_url_setting()

    def grant(self, request: LoginRequest) -> Mapping[str, str]:
        """The form fields, with the newest refresh token."""
        return refresh_form(self.client_id, self.client_secret, request.state.get() or self.refresh_token)

    def granted(self, request: LoginRequest, answer: Mapping[str, object]) -> None:
        """Keep the refresh token that replaces the one that was sent."""
        if token := new_refresh_token(answer):
            request.state.replace(token)
