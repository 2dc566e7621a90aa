"""What a source is about at a moment: its live session, the pauses before the next login, and its token of its own.

It is read off memory and the store. Nothing is sent, and no secret is fetched or shown.
"""

import time
from typing import Literal

import attrs

from kinetic_auth_core.errors import KineticAuthError, RateLimitedError
from kinetic_auth_core.login.flow import WINDOW_S, LoginFlow
from kinetic_auth_core.login.state import Record
from kinetic_auth_core.session import CachedSession
from kinetic_auth_core.sessions.refresh import RefusedSessions

GrantState = Literal["unused", "marked", "lost", "unknown"]


@attrs.frozen
class LiveSession:
    """A session that can be used, without its token.

    Attributes:
        username: The Salesforce user; None where the provider does not say.
        org_id: The id of the org; None where neither answer nor token says.
        instance_url: The org's own URL.
        since: When its login was made, in Unix seconds.
        until: Until when it is assumed to live, in Unix seconds.
    """

    username: str | None
    org_id: str | None
    instance_url: str
    since: float
    until: float


@attrs.frozen
class Pause:
    """Why no login is made at the moment.

    Attributes:
        kind: `refused credential` (the setting lockout_guard), `rate limit` (Salesforce's), `refused sessions` (three
            in a row right after their login) or `login budget`.
        until: When it ends, in Unix seconds.
        reason: Why, as a sentence.
        remedy: What to do; may be empty.
    """

    kind: Literal["refused credential", "rate limit", "refused sessions", "login budget"]
    until: float
    reason: str
    remedy: str = ""


@attrs.frozen
class SourceStatus:
    """What a source is about: the answer of `SessionSource.status`.

    Attributes:
        provider: The provider's entry-point name.
        environment: The environment of the config file, or None.
        session: The session that `session()` would give without a login; None if there is none.
        pauses: Why no login would be made now, the one that ends last first; empty: one would be made.
        logins: The logins of this source within the last hour that may have reached Salesforce.
        login_budget: How many there may be.
        grant: For a provider whose token can be presented once: `unused`; `marked`, while a login presents it or where
            its last login had no answer; `lost`, as it cannot be used any more; `unknown`, as the store failed or a
            secret would have to be fetched. None for any other provider.
        store_is_down: Whether the session store has failed and not answered since.
    """

    provider: str
    environment: str | None
    session: LiveSession | None
    pauses: tuple[Pause, ...]
    logins: int
    login_budget: int
    grant: GrantState | None
    store_is_down: bool

    @property
    def paused_until(self) -> float | None:
        """When the last pause ends, in Unix seconds; None: there is none."""
        return self.pauses[0].until if self.pauses else None


def status_of(
    flow: LoginFlow, cached: CachedSession | None, refused: RefusedSessions, *, is_down: bool
) -> SourceStatus:
    """The status of a source.

    Args:
        flow: Logs in.
        cached: The live session, or None.
        refused: Its fresh sessions that were refused.
        is_down: Whether its store has failed.
    """
    logins, budget = flow.logins(), flow.spec.options.login_budget
    return SourceStatus(
        provider=flow.spec.provider,
        environment=flow.spec.environment,
        session=None if cached is None else _live(cached, flow.spec.displayed("username")),
        pauses=_last_of_each_kind(_pauses(flow, refused, logins, budget)),
        logins=len(logins),
        login_budget=budget,
        grant=_grant(flow) if flow.spec.is_single_use else None,
        store_is_down=is_down,
    )


def _live(cached: CachedSession, username: str | None) -> LiveSession:
    session = cached.session
    return LiveSession(
        session.username or username, session.org_id, session.instance_url, cached.born_at, cached.expired_wall
    )


def _pauses(flow: LoginFlow, refused: RefusedSessions, logins: list[float], budget: int) -> list[Pause]:
    now = time.time()
    found = [
        Pause(
            "rate limit" if isinstance(error, RateLimitedError) else "refused credential",
            until,
            error.message,
            error.remedy,
        )
        for error, until in flow.pauses()
    ]
    if (left_s := refused.left_s()) > 0:
        found.append(Pause("refused sessions", now + left_s, refused.why()))
    if len(logins) >= budget:
        until = now + WINDOW_S - logins[len(logins) - budget]
        found.append(Pause("login budget", until, f"{len(logins)} logins were made within the last hour."))
    return found


def _last_of_each_kind(pauses: list[Pause]) -> tuple[Pause, ...]:
    """Those that end last: a refusal is kept in this process and in the store."""
    by_kind = {pause.kind: pause for pause in sorted(pauses, key=lambda pause: pause.until)}
    return tuple(sorted(by_kind.values(), key=lambda pause: -pause.until))


def _grant(flow: LoginFlow) -> GrantState:
    try:
        record = flow.grant_record()
    except KineticAuthError:
        return "unknown"
    return "unknown" if record is None else _state_of(record)


def _state_of(record: Record) -> GrantState:
    if record.lost is not None:
        return "lost"
    return "unused" if record.mark is None else "marked"
