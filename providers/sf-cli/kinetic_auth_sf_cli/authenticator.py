"""A session of an org that `sf` is logged in to. `sf` keeps the session and renews it; nothing of it is stored here."""

import os
import time
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, NoReturn, TypeGuard

import attrs

from kinetic_auth_core import (
    ConfigurationError,
    InteractionRequiredError,
    LoginRequest,
    SalesforceSession,
    TransportError,
    hookimpl,
    setting,
    single_line,
)
from kinetic_auth_core.plugins import (
    ValidatedMeta,
    api_version_setting,
    ca_bundle_setting,
    check_seconds,
    command_setting,
)
from kinetic_auth_sf_cli.command import Failure, run

#: How the text begins that stands in the place of a token since sf 2.136.8, of May 2026.
_REDACTED = "[REDACTED]"
_REMEMBERED = 32  # tokens


def _check_org(_instance: object, _attribute: object, value: object) -> None:
    """Refuse what sf would take for an option."""
    if value is not None:
        single_line(_instance, _attribute, value)
        if str(value).startswith("-"):
            raise ConfigurationError("must be an alias or a username of sf org list, not an option")


@attrs.frozen
class SfCliAuthenticator(metaclass=ValidatedMeta):
    """Takes over an org that `sf` is logged in to.

    `sf` is called at each login, never by the constructor. It renews a session that has ended. Nothing is stored.

    Args:
        target_org: An alias or a username of `sf org list`; None: the default org of `sf`.
        command: The executable: a name on PATH, or a path.
        deadline: Seconds for the whole login, with all calls of `sf`.
        api_version: REST API version of the session; default: `SF_API_VERSION`, else v62.0.
        ca_bundle: File or folder of CA certificates, for what the source asks about the session (`is_alive`). `sf`
            itself reads NODE_EXTRA_CA_CERTS.

    Raises:
        ConfigurationError: Settings are wrong; all are named.
    """

    provider_name: ClassVar[str] = "sf-cli"
    never_stored: ClassVar[bool] = True

    target_org: str | None = setting(
        default=None,
        help="Alias or username of an org of `sf org list`; default: sf's own default org.",
        validator=_check_org,
    )
    command: str = command_setting(
        default="sf", help="The executable: a name on PATH, or a path.", kw_only=True, validator=single_line
    )
    deadline: float = setting(
        default=60.0,
        help="Seconds for all calls of sf at one login.",
        identity=False,
        kw_only=True,
        validator=check_seconds,
    )
    api_version: str = api_version_setting()
    ca_bundle: str | os.PathLike[str] | None = ca_bundle_setting()
    _refused: deque[str] = attrs.field(init=False, repr=False, eq=False, factory=lambda: deque[str](maxlen=_REMEMBERED))

    @hookimpl
    def authenticate(self, request: LoginRequest | None = None) -> SalesforceSession:
        """Ask `sf` for the session.

        Args:
            request: What the session is for; after a 401 it has the refused one.

        Raises:
            ConfigurationError: `sf` is not installed, or has no default org.
            InteractionRequiredError: A person has to log in by `sf` again.
            TransportError: `sf` does not answer in time, or not with JSON of a known form.
        """
        if request and request.rejected and request.rejected.access_token not in self._refused:
            self._refused.append(request.rejected.access_token)
        outcome = self._session()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _session(self) -> SalesforceSession | Exception:
        """The session, or why there is none. It raises nothing, so that no traceback shows a token."""
        ends_at = time.monotonic() + self.deadline
        shown = self._ask("display", self.target_org, ends_at)
        if isinstance(shown, Exception):
            return shown
        named = shown.get("username")
        username = named if _is_word(named) and not named.startswith("-") else None
        if str(shown.get("accessToken") or _REDACTED).startswith(_REDACTED):
            # Of the same org, whatever the default is by now.
            token = self._ask("auth show-access-token", username or self.target_org, ends_at)
            if isinstance(token, Exception):
                return token
            shown = {**shown, "accessToken": token.get("accessToken")}
        token_text, instance_url = shown.get("accessToken"), shown.get("instanceUrl")
        if not _is_token(token_text) or not _is_word(instance_url):
            missing = "instanceUrl" if _is_token(token_text) else "accessToken"
            return self._failed(TransportError, f"the answer of sf org display has no {missing}.", _BY_HAND)
        if token_text in self._refused:
            return self._failed(
                InteractionRequiredError,
                f"sf has no other session than the one that {instance_url} has refused, so it could not renew it.",
                f"Log in again: {self._login_command(instance_url)}",
            )
        try:
            return SalesforceSession(
                token_text,
                instance_url,
                "",
                str(int(time.time() * 1000)),
                api_version=self.api_version,
                username=username,
            )
        except ValueError as error:
            return self._failed(TransportError, f"the answer of sf org display is not usable: {error}", _BY_HAND)

    def _ask(self, subcommand: str, org: str | None, ends_at: float) -> Mapping[str, object] | Exception:
        """The result of `sf org SUBCOMMAND`, or what it means that there is none."""
        arguments = ["org", *subcommand.split(), "--json"]
        if org is not None:
            arguments += ["--target-org", org]
        result = run(self.command, arguments, ends_at)
        if not isinstance(result, Failure):
            return result
        what = f"sf org {subcommand}: {result.what}"
        if result.name == "not-found":
            return ConfigurationError(
                f"sf-cli: {result.what}",
                remedy="Install it (npm install --global @salesforce/cli), or set command to its path.",
            )
        if result.name == "timeout":
            return self._failed(
                TransportError, f"{what} within the deadline of {self.deadline:g} s.", "Run it by hand, or raise it."
            )
        if result.name == "NoDefaultEnvError":
            return ConfigurationError(
                f"sf-cli: {what}",
                remedy="Set target_org (SF_TARGET_ORG) to an alias or username of sf org list, or choose a default: "
                "sf config set target-org ALIAS --global",
            )
        if _needs_a_person(result):
            return self._failed(InteractionRequiredError, what, f"Log in: {self._login_command(None)}")
        return self._failed(TransportError, what, _BY_HAND)

    def _login_command(self, instance_url: str | None) -> str:
        options = f" --instance-url {instance_url}" if instance_url else ""
        if self.target_org is not None:
            options += f" --alias {self.target_org}" if "@" not in self.target_org else ""
        return f"sf org login web{options}"

    def _failed(self, kind: type[TransportError | InteractionRequiredError], what: str, remedy: str) -> Exception:
        org = f" of {self.target_org}" if self.target_org else ""
        return kind(f"sf-cli login{org} failed: {what}", remedy=remedy, provider=self.provider_name)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it remembers refused tokens."""
        raise TypeError(f"{type(self).__name__} holds tokens and is not pickled; make or resolve it in the worker")


_BY_HAND = "Run sf org display by hand, and bring sf up to date: sf update."


def _is_word(value: object) -> TypeGuard[str]:
    """Whether a value is text that a header can hold."""
    return isinstance(value, str) and value != "" and all("!" <= char <= "~" for char in value)


def _is_token(value: object) -> TypeGuard[str]:
    return _is_word(value) and not value.startswith(_REDACTED)


def _needs_a_person(failure: Failure) -> bool:
    """Whether an error of sf says that it is not logged in to the org, or not any more."""
    names = {"NamedOrgNotFoundError", "NoAuthInfoFound", "AuthInfoCreationError", "RefreshTokenAuthError"}
    said = failure.what.lower()
    return failure.name in names or "no authorization information" in said or "expired access/refresh token" in said
