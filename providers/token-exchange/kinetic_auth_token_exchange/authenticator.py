"""The token exchange grant: its settings and its form fields. The core sends the request and reads the answer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Unpack

import attrs

from kinetic_auth_core.plugins import (
    ConnectionOptions,
    GrantAuthenticator,
    LoginRequest,
    frozen,
    login_url_setting,
    setting,
    single_line,
)

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"


@frozen
class TokenExchangeAuthenticator(GrantAuthenticator):
    """Logs in with a token of an identity provider that the org trusts: its token exchange handler names the user.

    Args:
        client_id: The app's Consumer Key.
        subject_token: The identity provider's token. In a configuration a reference that gets a new one at each login,
            such as `oidc://github?audience=...`.
        login_url: The org's My Domain, with https://.
        client_secret: The app's Consumer Secret, where the app requires it for this flow.
        subject_token_type: What the token is, as a URN of RFC 8693, section 3.
        token_handler: The name of the org's handler; default: the app's default handler.
        scope: Scopes to ask for, divided by blanks; default: all scopes of the app.

    The settings that every provider has (time-outs, proxy, ...) are keywords; see `GrantAuthenticator`.

    Raises:
        ConfigurationError: Settings are missing or wrong; all are named.
    """

    provider_name: ClassVar[str] = "token-exchange"

    client_id: str = setting(help="Consumer Key of the app.", validator=single_line)
    subject_token: str = setting(
        help="Token of the identity provider; a reference such as oidc://github?audience=... gets a new one each time.",
        secret=True,
        validator=single_line,
    )
    if TYPE_CHECKING:

        def __init__(
            self,
            client_id: str,
            subject_token: str,
            login_url: str,
            *,
            client_secret: str | None = None,
            subject_token_type: str = ...,
            token_handler: str | None = None,
            scope: str | None = None,
            **connection: Unpack[ConnectionOptions],
        ) -> None: ...  # type checkers would take login_url for the first argument, since the base class has it
    else:
        login_url: str = login_url_setting(
            attrs.NOTHING, help="The org's My Domain, such as https://acme.my.salesforce.com."
        )
    client_secret: str | None = setting(
        default=None,
        help="Consumer Secret, where the app requires it for this flow.",
        secret=True,
        identity=False,
        kw_only=True,
    )
    subject_token_type: str = setting(
        default=JWT_TYPE, help="What the token is (RFC 8693, section 3).", validator=single_line, kw_only=True
    )
    token_handler: str | None = setting(
        default=None, help="Name of the org's token exchange handler; default: that of the app.", validator=single_line,
        kw_only=True,
    )  # fmt: skip
    scope: str | None = setting(
        default=None,
        help="Scopes to ask for, divided by blanks; default: all of the app.",
        validator=single_line,
        kw_only=True,
    )

    def grant(self, request: LoginRequest) -> Mapping[str, str]:  # noqa: ARG002 - the base class's signature
        """The form fields of the exchange.

        Args:
            request: What the login is made for.
        """
        optional = {"client_secret": self.client_secret, "token_handler": self.token_handler, "scope": self.scope}
        return {
            "grant_type": GRANT_TYPE,
            "client_id": self.client_id,
            "subject_token": self.subject_token,
            "subject_token_type": self.subject_token_type,
            **{name: value for name, value in optional.items() if value is not None},
        }
