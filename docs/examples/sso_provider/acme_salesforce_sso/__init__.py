"""A provider for kinetic-auth: asks Acme's single sign-on service for a Salesforce session."""

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from urllib.parse import urlsplit

import attrs

import kinetic_auth_core as kinetic
from kinetic_auth_core.plugins import ValidatedMeta

if TYPE_CHECKING:
    import requests


@attrs.frozen
class SsoAuthenticator(metaclass=ValidatedMeta):
    """Exchanges a service token for a Salesforce session.

    Args:
        sso_url: Where to ask, with https://; plain http on this machine alone.
        token: The service token that the SSO desk hands out.
    """

    read_timeout_s: ClassVar[float] = 30

    sso_url: str = kinetic.url_setting(help="Where to ask.", env="ACME_SSO_URL")
    token: str = kinetic.setting(help="Service token of the SSO desk.", secret=True)

    @kinetic.hookimpl
    def authenticate(self) -> kinetic.SalesforceSession:
        """Log in, now.

        Raises:
            CredentialsRejectedError: The service does not know the token.
            TransportError: There is no usable answer, such as a page in HTML, or fields are missing or not text.
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
        try:
            fields = answer.json()
            return kinetic.SalesforceSession(
                fields["access_token"],
                fields["instance_url"],
                fields["id"],
                fields["issued_at"],
                username=fields.get("username"),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            failure = type(error).__name__
        # Outside of the handler: the error of a JSON parser holds the text, and so perhaps the session's token.
        raise kinetic.TransportError(
            f"the answer of {self._host} is not a session ({failure}).", **self._facts(answer.status_code)
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
            return requests.post(self.sso_url, auth=bearer, timeout=(5, self.read_timeout_s), allow_redirects=False)
        except requests.RequestException as error:
            failure = type(error).__name__
        # Outside of the handler: the library's error holds the request, and so the token.
        raise kinetic.TransportError(f"no answer from {self._host} ({failure}).", retryable=True, **self._facts())
