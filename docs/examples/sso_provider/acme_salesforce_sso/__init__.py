"""A provider for kinetic-auth: asks Acme's single sign-on service for a Salesforce session."""

from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import attrs

import kinetic_auth_core as kinetic

if TYPE_CHECKING:
    import requests

_SAFE_URL = r"https://.+|http://(localhost|127\.0\.0\.1)([:/].*)?"


@attrs.frozen
class SsoAuthenticator:
    """Exchanges a service token for a Salesforce session.

    Args:
        sso_url: Where to ask, with https://; plain http on this machine alone.
        token: The service token that the SSO desk hands out.
    """

    sso_url: str = kinetic.setting(
        help="Where to ask.", env="ACME_SSO_URL", validator=attrs.validators.matches_re(_SAFE_URL)
    )
    token: str = kinetic.setting(help="Service token of the SSO desk.", secret=True)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        """Log in, now.

        Raises:
            CredentialsRejectedError: The service does not know the token.
            TransportError: There is no usable answer.
        """
        answer = self._ask()
        if answer.status_code in (401, 403):
            raise kinetic.CredentialsRejectedError(
                f"{self._host} does not accept the service token.",
                remedy="Get a new one from the SSO desk.",
                **self._facts(answer.status_code),
            )
        if answer.status_code != 200:
            raise kinetic.TransportError(
                f"{self._host} answered with HTTP status {answer.status_code}.",
                retryable=answer.status_code >= 500,
                **self._facts(answer.status_code),
            )
        fields = answer.json()
        return kinetic.SalesforceSession(
            fields["access_token"],
            fields["instance_url"],
            fields["id"],
            fields["issued_at"],
            username=fields.get("username"),
        )

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the token would be in the pickle."""
        raise TypeError("it holds a secret; make it in the worker")

    @property
    def _host(self) -> str:
        return urlsplit(self.sso_url).netloc

    def _facts(self, status: int | None = None) -> dict[str, Any]:
        return {"provider": "acme-sso", "host": self._host, "status": status}

    def _ask(self) -> "requests.Response":
        import requests  # heavy, so not before it is needed

        def bearer(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
            request.headers["Authorization"] = f"Bearer {self.token}"
            return request

        try:
            # As `auth`, not as a header: a header would give way to an entry of ~/.netrc.
            return requests.post(self.sso_url, auth=bearer, timeout=(5, 30), allow_redirects=False)
        except requests.RequestException as error:
            failure = type(error).__name__
        # Outside of the handler: the library's error holds the request, and so the token.
        raise kinetic.TransportError(f"no answer from {self._host} ({failure}).", retryable=True, **self._facts())
