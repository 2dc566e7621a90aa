"""The parts of an org: users, apps and policy, which a test may change, and the records that it reads.

No secret of any of these is in its `repr`.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import random
import string
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from kinetic_auth_core.testing.emulator.keys import UploadedCertificate

if TYPE_CHECKING:
    from kinetic_auth_core.testing.emulator.exchange import TokenHandler

SYSTEM_RANDOM: Final = random.SystemRandom()
_LETTERS = string.ascii_letters + string.digits
_CHECK = string.ascii_uppercase + "012345"


def long_id(short: str) -> str:
    """Extend a record id of 15 characters to 18: for each five, one that encodes which of them are capitals."""
    groups = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(
        _CHECK[sum(1 << place for place, char in enumerate(group) if char in string.ascii_uppercase)]
        for group in groups
    )


def new_id(prefix: str, source: random.Random = SYSTEM_RANDOM) -> str:
    """Draw a record id of 18 characters whose first three tell the kind: `00D` an organisation, `005` a user."""
    return long_id(prefix + new_text(12, source))


def new_text(length: int, source: random.Random = SYSTEM_RANDOM) -> str:
    """Make a text of random letters and digits."""
    return "".join(source.choices(_LETTERS, k=length))


JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PASSWORD: Final = "password"  # noqa: S105 - the name of a grant
CLIENT_CREDENTIALS: Final = "client_credentials"
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the name of a grant
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant
AUTHORIZATION_CODE: Final = "authorization_code"

FLOWS: Final = frozenset(
    {"jwt-bearer", PASSWORD, CLIENT_CREDENTIALS, REFRESH_TOKEN, AUTHORIZATION_CODE, "token-exchange"}
)
"""The flows that an app can allow, by the names that `App.flows` takes."""

LOGIN_AUDIENCES: Final = frozenset({"https://login.salesforce.com", "https://test.salesforce.com"})
"""The audiences that every org accepts in an assertion, besides its own address."""


def _set(values: Iterable[str]) -> set[str]:
    return set(listed(values))


def listed(values: Iterable[str]) -> Iterable[str]:
    """Texts; one with commas counts as several."""
    return [each for each in values.split(",") if each] if isinstance(values, str) else values


def _networks(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(each)) for each in listed(values))


def _hours(hours: str | Iterable[str | dt.time] | None) -> tuple[dt.time, dt.time] | None:
    """First and last time of day: `"09:00-17:00"`, two texts or two times."""
    if hours is None:
        return None
    pair = hours.split("-") if isinstance(hours, str) else hours
    try:
        first, last = (dt.time.fromisoformat(each) if isinstance(each, str) else each for each in pair)
    except ValueError as error:
        raise ValueError(f"login hours are two times of day, as 09:00-17:00 ({error})") from error
    return first, last


def _check_type(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    """Check that a setting has the type of its default, or is text without one, whenever it is set."""
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise TypeError(f"{field.name} must be true or false")
    elif field.default is None:
        if not isinstance(value, str | None):
            raise TypeError(f"{field.name} must be text, or null")
    elif field.default is attrs.NOTHING:
        if not isinstance(value, str):
            raise TypeError(f"{field.name} must be text")
    elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise TypeError(f"{field.name} must be a number, 0 or more")


def _checked(_: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    plain = [
        each
        for each in fields
        if (each.default is attrs.NOTHING or isinstance(each.default, bool | int | float | None)) and not each.converter
    ]
    return [each.evolve(validator=_check_type) if each in plain else each for each in fields]


def _check_flows(app: App, field: attrs.Attribute[set[str]], flows: set[str]) -> None:
    for flow in sorted(flows - FLOWS):
        raise ValueError(f"{flow!r} is not a flow; the known ones are {', '.join(sorted(FLOWS))}")


def _check_permitted(_app: App, field: attrs.Attribute[str], value: object) -> None:
    if value not in ("admin", "self"):
        raise ValueError(f"{field.name} must be admin or self")


def _lower_case(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in listed(names)}


@attrs.define(eq=False, kw_only=True, field_transformer=_checked)
class User:
    """A user of the org. Every field but `id` and `username` may be changed while the emulator runs.

    Args:
        username: The login name; Salesforce compares it without regard to case.
        id: The record id, 18 characters, prefix `005`.
        password: The password. Not shown by `repr`.
        security_token: What must follow the password from a network that is not trusted. Not shown by `repr`.
        active: False for a user who is frozen or deactivated.
        trusted_ip: True when the user comes from a trusted network, so that the password alone will do.
        ip_ranges: Networks the user may log in from (`"203.0.113.0/24"`); none means any.
        login_hours: First and last time of day, in UTC, at which the user may log in; None means any.
        site_url: Address of the Experience Cloud site the user belongs to, else None.
        failed_logins: Wrong passwords in a row. Reset it to 0 to unlock the user.
    """

    username: str = attrs.field(on_setattr=attrs.setters.frozen)
    id: str = attrs.field(on_setattr=attrs.setters.frozen)
    password: str = attrs.field(repr=False)
    security_token: str = attrs.field(repr=False)
    active: bool = True
    trusted_ip: bool = False
    ip_ranges: tuple[str, ...] = attrs.field(default=(), converter=_networks)
    login_hours: tuple[dt.time, dt.time] | None = attrs.field(default=None, converter=_hours)
    site_url: str | None = None
    failed_logins: int = 0
    recent_logins: deque[float] = attrs.field(factory=deque, repr=False, init=False)


@attrs.define(eq=False, kw_only=True, field_transformer=_checked)
class App:
    """A connected app or External Client App. Every field but `client_id` may be changed while the emulator runs.

    Args:
        client_id: The consumer key.
        client_secret: The consumer secret. Not shown by `repr`.
        certificates: The certificates uploaded to it, as `keys.check_certificate` accepted them.
        flows: The flows that are enabled, of `FLOWS`.
        scopes: The OAuth scopes selected for it.
        preauthorised: Usernames whose profile or permission set is assigned to it, in lower case.
        enabled: False when the app as a whole is blocked.
        permitted_users: `"admin"`: only pre-authorised users. `"self"`: any user may approve it for themselves.
        run_as: The username that client credentials act for, or None.
        relax_ip: True to let users in from beyond their IP ranges.
        redirect_uris: The callback URLs; a request must name one of them exactly, port and path included.
        require_pkce: True if a login in the browser requires PKCE (RFC 7636). A challenge that was sent always counts.
        require_secret: True if exchanging an authorization code requires the consumer secret.
        require_secret_for_refresh: True if a refresh requires the consumer secret.
        require_secret_for_exchange: True if a token exchange requires the consumer secret.
        token_handlers: The token exchange handlers that are enabled for it; the first is its default.
        external: True for an External Client App: no password flow, unknown at `login` and `test` hosts.
        installed: False for an app that exists in another org, not in this one.
    """

    client_id: str = attrs.field(on_setattr=attrs.setters.frozen)
    client_secret: str = attrs.field(repr=False)
    certificates: list[UploadedCertificate] = attrs.field(factory=list, repr=False)
    flows: set[str] = attrs.field(factory=lambda: set(FLOWS), converter=_set, validator=_check_flows)
    scopes: set[str] = attrs.field(factory=lambda: {"api"}, converter=_set)
    preauthorised: set[str] = attrs.field(factory=set, converter=_lower_case)
    enabled: bool = True
    permitted_users: str = attrs.field(default="admin", validator=_check_permitted)
    run_as: str | None = None
    relax_ip: bool = False
    redirect_uris: set[str] = attrs.field(factory=set, converter=_set)
    require_pkce: bool = True
    require_secret: bool = True
    require_secret_for_refresh: bool = True
    require_secret_for_exchange: bool = False
    token_handlers: list[TokenHandler] = attrs.field(factory=list, repr=False)
    external: bool = False
    installed: bool = True
    approvals: dict[str, set[str]] = attrs.field(factory=dict, repr=False, init=False)
    """The scopes that users have approved in the browser, by username in lower case."""


@attrs.define(eq=False, kw_only=True, field_transformer=_checked)
class Policy:
    """The org's settings. All may be changed while the emulator runs.

    Args:
        active: False for an org that is locked or closed.
        apps_blocked: True to block every app.
        ip_ranges: Networks that every user has to log in from (`"203.0.113.0/24"`); none means any.
        login_hours: First and last time of day, in UTC, at which users may log in: `"09:00-17:00"`; None means any.
        session_timeout_s: Seconds without use after which a session dies.
        password_flow_blocked: True to block the username-password flow for the whole org.
        logins_per_hour: Logins granted to one user within an hour.
        max_failed_logins: Wrong passwords in a row that lock a user out.
        audiences: The `aud` values accepted. The emulator adds its own address when it starts.
        strict_exp: True to reject an `exp` that is text, or more than five minutes ahead. Real clients send both.
        require_https: True to reject token requests over plain http.
        my_domain: True when the emulator's address counts as the org's My Domain; False makes it a `login` host.
        jwt_access_tokens: True to issue access tokens that are JWTs, False for opaque ones.
        reuse_sessions: True to return the live session when a user logs in again through the same app.
        rotate_refresh_tokens: True to answer a refresh with a new refresh token. The old one is spent: presenting it
            again revokes the grant, its newest refresh token and its access tokens.
        code_lifetime_s: Seconds within which an authorization code has to be exchanged.
        restrict_rest_sessions: True for API Access Control: REST calls get "not valid for use with the REST API".
        query_batch_size: Records in one page of a query.
        client_ip: The address to assume for every client; None uses the real one, `127.0.0.1`.
        instance_url: The instance to send clients to; None for the emulator itself.
        identity_host: Scheme and host of identity URLs; None for the emulator itself.
    """

    active: bool = True
    apps_blocked: bool = False
    ip_ranges: tuple[str, ...] = attrs.field(default=(), converter=_networks)
    login_hours: tuple[dt.time, dt.time] | None = attrs.field(default=None, converter=_hours)
    session_timeout_s: float = 7200
    password_flow_blocked: bool = False
    logins_per_hour: int = 3600
    max_failed_logins: int = 10
    audiences: set[str] = attrs.field(factory=lambda: set(LOGIN_AUDIENCES), converter=_set)
    strict_exp: bool = False
    require_https: bool = False
    my_domain: bool = True
    jwt_access_tokens: bool = False
    reuse_sessions: bool = False
    rotate_refresh_tokens: bool = False
    code_lifetime_s: float = 900
    restrict_rest_sessions: bool = False
    query_batch_size: int = 2000
    client_ip: str | None = None
    instance_url: str | None = None
    identity_host: str | None = None


@attrs.frozen(kw_only=True)
class LoginRecord:
    """A row of the login history.

    Args:
        time: When, in Unix seconds by the emulator's clock.
        username: The user, or None if the request named none that the org knows.
        client_id: The consumer key that the request gave, or None.
        grant_type: The grant as the request named it.
        ip: The address it came from.
        status: `"Success"`, or the reason of the failure, in the words of Salesforce's login history if known.
    """

    time: float
    username: str | None
    client_id: str | None
    grant_type: str
    ip: str
    status: str


@attrs.frozen(kw_only=True)
class RequestRecord:
    """A request that reached the emulator. It holds neither body, query, cookies nor credentials.

    Args:
        time: When, in Unix seconds by the emulator's clock.
        method: The HTTP method.
        path: The path, without its query.
        connection: A number for the connection it came over; equal numbers mean that the connection was kept open.
        status: The HTTP status of the answer, or None if a fault prevented an answer.
        fault: Name of the fault that was applied, or None.
        fields: The fields of its query and form, by name, with the lengths of their values.
        headers: Those of the request that tell about the client: `Accept`, `Content-Type`, `User-Agent` and so on.
    """

    time: float
    method: str
    path: str
    connection: int
    status: int | None
    fault: str | None
    fields: Mapping[str, int]
    headers: Mapping[str, str]


@attrs.define(eq=False)
class RefreshGrant:
    """What a user has granted to an app: one refresh token at a time, and those that rotation has replaced."""

    token: str = attrs.field(repr=False)
    user: User
    app: App
    scope: str
    issued_at: float
    in_use: bool = False
    spent: set[str] = attrs.field(factory=set, repr=False)


@attrs.define(eq=False)
class Session:
    """A live access token and its user, app and flow."""

    token: str = attrs.field(repr=False)
    user: User
    app: App
    flow: str
    scope: str
    issued_at: float
    last_used: float
    refresh_grant: RefreshGrant | None = None


@attrs.define(eq=False)
class AuthorizationCode:
    """An authorization code and what it is bound to."""

    user: User
    app: App
    scope: str
    redirect_uri: str
    challenge: str | None
    expires_at: float
    spent: bool = False
