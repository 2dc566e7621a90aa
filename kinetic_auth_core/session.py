"""The session record: the result of a login, with what a REST client needs; its lifetime, and its form in a store."""

import base64
import enum
import json
import math
import os
import random
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Self

import attrs

from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.locations import instance_url_problem
from kinetic_auth_core.redaction import secret_boundary

DEFAULT_API_VERSION = "v62.0"


def default_api_version() -> str:
    """The default API version: `SF_API_VERSION` of the process, otherwise v62.0."""
    return os.environ.get("SF_API_VERSION") or DEFAULT_API_VERSION


def normal_api_version(value: str) -> str:
    """Normalise an API version to Salesforce's form: `61`, `61.0` and `V61.0` become `v61.0`.

    Raises:
        ConfigurationError: It is not an API version.
    """
    if value == DEFAULT_API_VERSION:
        return DEFAULT_API_VERSION
    match = re.fullmatch(r"[vV]?(\d{1,3})(?:\.(\d))?", str(value).strip(), re.ASCII)
    if match is None:
        raise ConfigurationError(f"the API version must look like v62.0, not {value!r}")
    return f"v{match[1]}.{match[2] or 0}"


#: Versions below the first are gone (HTTP 410 since Summer '25); those below the second end with Summer '28
#: (Salesforce's API End-of-Life Policy).
FIRST_API_VERSION, FIRST_LASTING_API_VERSION = 31, 41


def is_retired(api_version: str) -> bool:
    """Whether Salesforce answers a normal API version, such as `v30.0`, by 410."""
    return _major(api_version) < FIRST_API_VERSION


def retires_soon(api_version: str) -> bool:
    """Whether Salesforce has said when a normal API version ends."""
    return _major(api_version) < FIRST_LASTING_API_VERSION


def _major(api_version: str) -> int:
    return int(api_version[1:].partition(".")[0])


_URL = re.compile(r"https?://[^/\s]+", re.IGNORECASE)


#: The fields that are text.
_TEXTS = ("access_token", "instance_url", "id", "issued_at", "signature", "token_type", "scope", "username")


def _without_slash(url: Any) -> Any:
    return url.rstrip("/") if isinstance(url, str) else url


def _harmless_texts(fields: Any) -> Any:
    return harmless_texts(fields) if isinstance(fields, Mapping) else fields


def _version_or_default(value: str | None) -> str:
    return normal_api_version(default_api_version() if value is None else value)


class FrozenTexts(dict[str, str]):
    """A dictionary of text that cannot be changed; hashable, and it pickles."""

    def __hash__(self) -> int:  # type: ignore[override]  # as it cannot be changed
        """Of its items, in any order."""
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        """By its items: the default sets them one by one."""
        return type(self), (dict(self),)

    def _refuse(self, *_arguments: Any, **_named: Any) -> NoReturn:
        raise TypeError("it cannot be changed: a session is frozen")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


_HARMLESS = frozenset({"token_format", "token_type", "issued_token_type"})
# Compiled when an answer has further fields: most have none.
_BY_NAME = r"token|secret|passw|assertion|signature|credential|cookie|csrf|jwt|(^|_)(sid|key|code|otp)(_|$)"
_BY_LOOK = r"00D\w{12}(\w{3})?!|eyJ[\w-]+\."
_CAMEL = r"(?<=[a-z])(?=[A-Z])"
_MOST_EXTRA, _LONGEST_EXTRA = 50, 2000


def harmless_texts(fields: Mapping[Any, Any] | Iterable[Any]) -> FrozenTexts:
    """The fields that are text, and neither by their name nor by their look a token or another secret.

    Args:
        fields: Fields of an answer.
    """

    def is_harmless(name: object, value: object) -> bool:
        if not isinstance(name, str) or not isinstance(value, str) or len(name) + len(value) > _LONGEST_EXTRA:
            return False
        snake = re.sub(r"\W", "_", re.sub(_CAMEL, "_", name)).lower()
        is_named_so = snake not in _HARMLESS and re.search(_BY_NAME, snake)
        return not is_named_so and not re.search(_BY_LOOK, value) and value.isprintable()

    found = [(name, value) for name, value in dict(fields).items() if is_harmless(name, value)]
    return FrozenTexts(found[:_MOST_EXTRA])


def _seconds_or_none(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError("expires_at must be Unix seconds, or None")
    return float(value)


def number(value: object) -> float | None:
    """A finite number of an answer or a token, also as text; None for anything else."""
    if isinstance(value, str) and len(value) < 20 and value.isascii():
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def jwt_times(token: str) -> tuple[float | None, float] | None:
    """What a JWT access token says of its time.

    Args:
        token: An access token of any kind.

    Returns:
        `iat`, if it has one, and `exp`, in Unix seconds; None if it is not a JWT, or does not say when it ends.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    header, payload = (_json_object(part) for part in parts[:2])
    if header is None or payload is None or "alg" not in header or (exp := number(payload.get("exp"))) is None:
        return None
    return number(payload.get("iat")), exp


def _json_object(part: str) -> dict[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class InvalidSessionError(ConfigurationError):
    """Arguments of a `SalesforceSession` have the wrong type: a mistake of the code that makes it."""


@attrs.frozen
class SalesforceSession:
    """One login's session. Frozen: a refreshed session is another record.

    kinetic-core's `SalesforceClient` accepts it. `repr` shows neither token nor signature; a pickle holds the token,
    because workers need it.

    Attributes:
        access_token: The OAuth access token: opaque (`<orgId>!...`) or a JWT.
        instance_url: The org's own URL, without a slash at the end: `https://acme.my.salesforce.com`.
        id: The identity URL: `https://login.salesforce.com/id/<orgId>/<userId>`; empty if the login returns none.
        issued_at: When the token was issued: milliseconds since the epoch, as text.
        signature: base64 of HMAC-SHA256 over `id + issued_at` under the client secret; empty in flows without one.
        token_type: Usually `Bearer`.
        scope: The granted scopes, separated by spaces; empty if the flow does not return them.
        api_version: The REST API's version, for `base_url`. Default: `SF_API_VERSION`, otherwise v62.0.
        username: The user who logged in, if the provider knows.
        expires_at: When the token ends: Unix seconds; None if neither the answer nor the token says so.
        extra: Further fields of the answer, such as `api_instance_url`, `sfdc_community_url` and `token_format`: those
            that are text and neither tokens nor other secrets. All others are left out. It cannot be changed.

    Raises:
        ConfigurationError: `api_version` is not an API version, or `expires_at` not a number; or another field has the
            wrong type. All fields of the wrong type are named, without their values.
    """

    access_token: str = attrs.field(repr=False)
    instance_url: str = attrs.field(converter=_without_slash)
    id: str
    issued_at: str
    signature: str = attrs.field(default="", repr=False)
    token_type: str = attrs.field(default="Bearer", kw_only=True)
    scope: str = attrs.field(default="", kw_only=True)
    api_version: str = attrs.field(default=None, converter=_version_or_default, kw_only=True)
    username: str | None = attrs.field(default=None, kw_only=True)
    expires_at: float | None = attrs.field(default=None, converter=_seconds_or_none, kw_only=True)
    extra: Mapping[str, str] = attrs.field(factory=dict, converter=_harmless_texts, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        values: dict[str, Any] = {name: getattr(self, name) for name in (*_TEXTS, "extra")}
        extra = values.pop("extra")
        problems = [
            f"{name}: expected text, got {type(value).__name__}"
            for name, value in values.items()
            if not isinstance(value, str) and not (name == "username" and value is None)
        ]
        if isinstance(url := values["instance_url"], str) and url and not _URL.match(url):
            problems.append("instance_url: expected a URL, such as https://acme.my.salesforce.com")
        if not isinstance(extra, Mapping):
            problems.append(f"extra: expected a mapping of text to text, got {type(extra).__name__}")
        if problems:
            raise InvalidSessionError.of("Cannot make a SalesforceSession", problems)

    @property
    def org_id(self) -> str | None:
        """The org's id, from the identity URL, else the 15 characters before the token's `!`; None without both."""
        if org_id := self._identity()[0]:
            return org_id
        prefix = re.match(r"(00D[A-Za-z0-9]{12})!", str(self.access_token))
        return prefix[1] if prefix else None

    @property
    def user_id(self) -> str | None:
        """The user's id, from the identity URL; None if it has none."""
        return self._identity()[1]

    def _identity(self) -> tuple[str | None, str | None]:
        match = re.search(r"/id/(\w+)/(\w+)/?$", str(self.id))
        return (match[1], match[2]) if match else (None, None)

    @property
    def base_url(self) -> str:
        """The root of the versioned REST API, `<instance_url>/services/data/<api_version>`."""
        return f"{self.instance_url}/services/data/{self.api_version}"

    @property
    def auth_header(self) -> dict[str, str]:
        """The header that authorizes a REST call. It contains the token."""
        return {"Authorization": f"{self.token_type} {self.access_token}"}

    def is_valid(self) -> bool:
        """Whether it has a token and an instance URL. The token may be expired."""
        return bool(self.access_token and self.instance_url)


# The token is in no frame of a constructor that failed. Not as a decorator: type checkers know attrs' own __init__.
SalesforceSession.__init__ = secret_boundary(SalesforceSession.__init__)  # type: ignore[method-assign]


#: The part of the lifetime after which one caller refreshes in the background, before jitter.
ADVISORY_FROM = 0.75
#: The refreshes of a fleet that started together spread over this part of the lifetime.
JITTER = 0.1


class Freshness(enum.Enum):
    """How old a session is, compared with its lifetime."""

    FRESH = "fresh"  #: to be used
    STALE = "stale"  #: to be used, and to be refreshed in the background
    EXPIRED = "expired"  #: not to be used


class CachedSession:
    """A session, and when it becomes stale and expires, by the monotonic clock and by the wall clock.

    The monotonic clock stands still while a function is frozen or a laptop sleeps; the wall clock can be set back. The
    one that is further decides.

    Args:
        session: The session.
        born_at: When the login was made: Unix seconds.
        stale: When it becomes stale, in seconds of the monotonic and of the wall clock.
        expired: When it expires, by the same clocks.
    """

    __slots__ = ("born_at", "expired_monotonic", "expired_wall", "session", "stale_monotonic", "stale_wall")

    def __init__(
        self, session: SalesforceSession, born_at: float, stale: tuple[float, float], expired: tuple[float, float]
    ) -> None:
        self.session = session
        self.born_at = born_at
        self.stale_monotonic, self.stale_wall = stale
        self.expired_monotonic, self.expired_wall = expired

    @classmethod
    def of(cls, session: SalesforceSession, lifetime_s: float, *, born_at: float | None = None) -> Self:
        """A session that was logged in just now, or at `born_at` by another process.

        Args:
            session: The session.
            lifetime_s: Its assumed lifetime, in seconds; it lives no longer than its `expires_at`.
            born_at: Unix seconds.
        """
        now, monotonic = time.time(), time.monotonic()
        born = now if born_at is None else min(born_at, now)  # another machine's clock may be ahead
        if session.expires_at is not None:
            lifetime_s = max(min(lifetime_s, session.expires_at - born), 0.0)
        jitter = random.uniform(0, JITTER)  # noqa: S311 - spreads load, hides nothing
        expired_in = born + lifetime_s - now
        stale_in = expired_in - (1 - ADVISORY_FROM - jitter) * lifetime_s
        return cls(session, born, (monotonic + stale_in, now + stale_in), (monotonic + expired_in, now + expired_in))

    def freshness(self, at: tuple[float, float] | None = None) -> Freshness:
        """How old it is, compared with its lifetime.

        Args:
            at: When: seconds of the monotonic and of the wall clock; None: now.
        """
        monotonic, now = at or (time.monotonic(), time.time())
        if monotonic < self.stale_monotonic and now < self.stale_wall:
            return Freshness.FRESH
        return Freshness.STALE if monotonic < self.expired_monotonic and now < self.expired_wall else Freshness.EXPIRED


_FORM = 2
_FIELDS = frozenset(attribute.name for attribute in attrs.fields(SalesforceSession))
_MAX_LENGTH = 100_000
_AUTHORIZATION = r"[A-Za-z][A-Za-z0-9._~+/-]* [!-~]+"  # what a header's value may be


def encoded(session: SalesforceSession, born_at: float, name: str) -> bytes:
    """The form of a session in a store; a subclass's own fields stay behind.

    Args:
        session: The session.
        born_at: When it was, in Unix seconds.
        name: Under which it is stored: an entry that is copied under another name is not taken.
    """
    fields = {attribute.name: getattr(session, attribute.name) for attribute in attrs.fields(SalesforceSession)}
    return json.dumps({"form": _FORM, "name": name, "born_at": born_at, **fields}, default=str).encode()


def decoded(raw: bytes, name: str) -> tuple[SalesforceSession, float] | str:
    """A session and when it was born; or what keeps it from being one, without a word of what is there.

    Args:
        raw: What a store gave.
        name: Under which the store has it.
    """
    if len(raw) > _MAX_LENGTH:
        return "too long"
    try:
        fields: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(fields, dict) or fields.pop("form", None) != _FORM:
        return "another form"
    if fields.pop("name", None) != name:
        return "stored for another user"
    return _session(fields)


def _session(fields: dict[str, Any]) -> tuple[SalesforceSession, float] | str:
    born_at = fields.pop("born_at", None)
    if not isinstance(born_at, int | float) or isinstance(born_at, bool):
        return "no date"
    texts: dict[str, Any] = {name: text for name, text in fields.items() if name in _FIELDS and isinstance(text, str)}
    if not {"access_token", "instance_url", "id", "issued_at"} <= texts.keys():
        return "fields are missing"
    if not re.fullmatch(_AUTHORIZATION, f"{texts.get('token_type', 'Bearer')} {texts['access_token']}"):
        return "no token"
    if problem := instance_url_problem(texts["instance_url"]):
        return f"its instance_url {problem}"
    extra = fields.get("extra")
    texts["extra"] = extra if isinstance(extra, dict) else {}
    texts["expires_at"] = number(fields.get("expires_at"))
    try:
        return SalesforceSession(**texts), float(born_at)
    except OverflowError:
        return "no date"
    except KineticAuthError:
        return "its API version is not valid"


@attrs.frozen
class Introspection:
    """Salesforce's response to token introspection (RFC 7662).

    Attributes:
        active: Whether the token is valid. If not, the other fields are None.
        scope: Its scopes, separated by spaces.
        client_id: The app's Consumer Key.
        username: The user.
        sub: The identity URL.
        token_type: Such as `access_token`.
        exp: When it expires if it is not used until then: Unix seconds; None if unknown.
        iat: When it was issued: Unix seconds.
        nbf: When it becomes valid: Unix seconds.
    """

    active: bool
    scope: str | None = None
    client_id: str | None = None
    username: str | None = None
    sub: str | None = None
    token_type: str | None = None
    exp: int | None = None
    iat: int | None = None
    nbf: int | None = None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self | None:
        """Parse a response; None if it is invalid."""
        if not isinstance(fields.get("active"), bool):
            return None
        texts = ("scope", "client_id", "username", "sub", "token_type")
        numbers = ("exp", "iat", "nbf")
        values: dict[str, Any] = {name: fields[name] for name in texts if isinstance(fields.get(name), str)}
        values |= {name: fields[name] for name in numbers if type(fields.get(name)) is int}
        return cls(fields["active"], **values)
