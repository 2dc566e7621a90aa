"""The login of a person in the browser (RFC 6749, section 4.1, with PKCE, RFC 7636), then refresh tokens."""

import base64
import contextlib
import hashlib
import json
import logging
import secrets
import sys
import threading
import webbrowser
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack
from urllib.parse import urlencode, urlsplit

from kinetic_auth_core import (
    AuthenticationError,
    ConfigurationError,
    GrantAuthenticator,
    InteractionRequiredError,
    LoginRequest,
    login_url_setting,
    setting,
    single_line,
)
from kinetic_auth_core.plugins import ConnectionOptions, check_seconds, frozen, known_error
from kinetic_auth_web_login.callback import Callback
from kinetic_auth_web_login.refresh_token import new_refresh_token, refresh_form

logger = logging.getLogger(__name__)

_LONGEST_ANSWER = 300  # characters of what an org says


def _check_port(_instance: object, _attribute: object, value: int) -> None:
    if not 0 < value < 2**16:
        raise ConfigurationError("must be a port, 1 to 65535")


@frozen
class WebLoginAuthenticator(GrantAuthenticator):
    """Logs a person in, in the browser; from then on with the refresh token that this has given, which may rotate.

    Args:
        client_id: The app's Consumer Key.
        client_secret: The app's Consumer Secret, where the app requires it.
        login_url: The host that logs in, with https://.
        username: The user who has to log in; left out: any user. Without one, sessions are kept in a folder of
            this user or in memory only.
        redirect_port: The app's callback URL has to be `http://localhost:<redirect_port>/OauthRedirect`.
        scope: What the session may do, separated by blanks; without `refresh_token` each login needs a person.
        login_timeout: How long a person has, in seconds.

    The settings that every provider has (time-outs, proxy, ...) are keywords; see `GrantAuthenticator`.

    Raises:
        ConfigurationError: Settings are missing or wrong; all are named.
    """

    provider_name: ClassVar[str] = "web-login"
    single_use: ClassVar[bool] = True
    asks_a_person: ClassVar[bool] = True

    client_id: str = setting(help="Consumer Key of the app.", validator=single_line)
    client_secret: str | None = setting(
        default=None, help="Consumer Secret, where the app requires it.", secret=True, identity=False
    )
    if TYPE_CHECKING:

        def __init__(
            self,
            client_id: str,
            client_secret: str | None = None,
            login_url: str = ...,
            *,
            username: str | None = None,
            redirect_port: int = ...,
            scope: str = ...,
            login_timeout: float = ...,
            **connection: Unpack[ConnectionOptions],
        ) -> None: ...  # type checkers would take login_url for the first argument, since the base class has it
    else:
        login_url: str = login_url_setting()
    username: str | None = setting(
        default=None, help="Salesforce username that has to log in; default: any.", validator=single_line, kw_only=True
    )
    redirect_port: int = setting(
        default=1717,
        help="Port of the callback URL http://localhost:<port>/OauthRedirect.",
        identity=False,
        validator=_check_port,
        kw_only=True,
    )
    scope: str = setting(
        default="id api refresh_token", help="Scopes, separated by blanks.", validator=single_line, kw_only=True
    )
    login_timeout: float = setting(
        default=600.0, help="Seconds that a person has.", identity=False, validator=check_seconds, kw_only=True
    )

    def grant(self, request: LoginRequest) -> Mapping[str, str]:
        """The form fields: the newest refresh token, or the code of a login in the browser.

        Raises:
            InteractionRequiredError: A person has to log in, and none may be asked, or none has in time.
            AuthenticationError: Access was denied.
        """
        if token := request.state.get():
            return refresh_form(self.client_id, self.client_secret, token)
        if not request.interactive:
            raise self._failed(
                InteractionRequiredError,
                request,
                "a person has to log in, in a browser, and none may be asked here",
                remedy=f"Run {_command(request)} where there is a terminal, with the same configuration and store.",
            )
        return self._code_of_a_person(request)

    def granted(self, request: LoginRequest, answer: Mapping[str, object]) -> None:
        """Keep the refresh token of the answer. After a login in the browser, check first who that was.

        Raises:
            AuthenticationError: Another user has logged in, or nobody can tell.
        """
        token = new_refresh_token(answer)
        if request.state.get() is None:
            if self.username is not None:
                self._check_user(request, answer)
            if token is None:
                logger.warning(
                    "web-login at %s: the org has given no refresh token, so the next login needs a person again; add "
                    "refresh_token to the scopes of the app and of this provider",
                    self.login_url,
                )
        if token is not None:
            request.state.replace(token)

    def _code_of_a_person(self, request: LoginRequest) -> Mapping[str, str]:
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        with Callback(self.redirect_port, state) as callback:
            query = {
                "response_type": "code",
                "client_id": self.client_id,
                "redirect_uri": callback.redirect_uri,
                "scope": self.scope,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                **({"login_hint": self.username} if self.username else {}),
            }
            _show(f"{self.login_url}/services/oauth2/authorize?{urlencode(query)}")
            found = callback.wait(self.login_timeout)
        if found is None:
            what = f"nobody has logged in within {self.login_timeout:g} s"
            remedy = (
                f"Run {_command(request)} again. If the browser shows redirect_uri_mismatch, add "
                f"{callback.redirect_uri} to the callback URLs of the app."
            )
            raise self._failed(InteractionRequiredError, request, what, remedy=remedy)
        if "error" in found:
            raise self._refused(request, found)
        return {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": found["code"],
            "redirect_uri": callback.redirect_uri,
            "code_verifier": verifier,
            **({} if self.client_secret is None else {"client_secret": self.client_secret}),
        }

    def _refused(self, request: LoginRequest, found: Mapping[str, str]) -> AuthenticationError:
        """The error for a callback that brings one."""
        error, description = _printable(found["error"]), _printable(found.get("error_description", ""))
        known = known_error(error, description)
        again = f"Run {_command(request)} again, and allow the access." if error == "access_denied" else ""
        return self._failed(
            AuthenticationError,
            request,
            f"{error}: {description}" if description else error,
            remedy=known.remedy if known else again,
            error=error,
            description=description or None,
        )

    def _check_user(self, request: LoginRequest, answer: Mapping[str, object]) -> None:
        """Ask the org who has logged in.

        Raises:
            AuthenticationError: It is another user than the configured one.
            TransportError: The org does not say.
        """
        path = urlsplit(str(answer.get("id") or "")).path
        if not path.startswith("/id/"):
            raise self._failed(AuthenticationError, request, "the answer does not say who has logged in")
        status, body = self.http_get(f"{self.login_url}{path}", {"Authorization": f"Bearer {answer['access_token']}"})
        try:
            facts: Any = json.loads(body) if status == 200 else None
        except ValueError:
            facts = None
        found = facts.get("username") if isinstance(facts, dict) else None
        if not isinstance(found, str) or not found:
            raise self._failed(
                AuthenticationError, request, f"the org does not say who has logged in (HTTP {status})", retryable=True
            )
        if self.username is None or found.casefold() != self.username.casefold():
            raise self._failed(
                AuthenticationError,
                request,
                f"{_printable(found)} has logged in, and username is {self.username}",
                remedy="Log out of Salesforce in the browser, and log in as that user; or set another username.",
            )

    def _failed(
        self, kind: type[AuthenticationError], request: LoginRequest, what: str, **details: Any
    ) -> AuthenticationError:
        who = f" of {self.username}" if self.username else ""
        message = f"web-login{who} at {request.host or self.login_url} failed: {what}."
        return kind(message, provider="web-login", host=request.host, username=self.username, **details)


def _show(address: str) -> None:
    """Print the address of the login and open a browser, which may be one in this terminal: nobody waits for it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it, or it is closed; the browser may open still
            print(f"Log in to Salesforce in a browser on this machine:\n\n  {address}\n", file=sys.stderr, flush=True)  # noqa: T201
    threading.Thread(target=_open, args=(address,), name="kinetic-auth browser", daemon=True).start()


def _open(address: str) -> None:
    try:
        webbrowser.open(address)
    except Exception as error:  # noqa: BLE001 - the address is printed
        logger.debug("no browser could be opened: %s", type(error).__name__)


def _command(request: LoginRequest) -> str:
    where = f" --environment {request.environment}" if request.environment else ""
    return f"`kinetic-auth login web-login{where}`"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:_LONGEST_ANSWER]
