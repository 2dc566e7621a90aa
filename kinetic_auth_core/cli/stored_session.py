"""`kinetic-auth status` and `logout`: the session in the store, which processes share."""

import datetime as dt
from typing import Any

import attrs
import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.exit_codes import NO_SESSION, TRY_LATER
from kinetic_auth_core.cli.options import Choice, choice_options, json_option
from kinetic_auth_core.cli.output import emit_json, emit_record, note, session_facts, utc
from kinetic_auth_core.cli.source import CommandSource, command_source
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.sessions.status import SourceStatus


@click.command(cls=Command)
@choice_options
@json_option
def status(as_json: bool, **choice: str | None) -> None:
    """Show the stored session, whether it is alive, and what keeps the next login waiting. It does not log in.

    The session is checked with a REST call. The exit code is 9 if there is no live session, and 5 if the store does not
    respond.

    \b
    --json prints
      {"provider", "environment", "store", "alive", "since", "until", "grant",
       "paused_until", "pauses": [{"kind", "until", "reason", "remedy"}],
       "instance_url", "base_url", "org_id", "user_id",
       "username", "api_version", "issued_at", "issued_at_ms", "scope", "token_type"}
    with null for missing values; "alive" is null if the store does not respond. Times are ISO 8601 in UTC.
    "until" is when the session is assumed to end. "grant" is what became of a token that can be
    presented once: unused, marked, lost or unknown. While there are pauses, no login is made.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    with command_source(Choice(**choice), keeps=False) as chosen:
        source = chosen.source
        session = source.peek()
        alive = session is not None and source.is_alive(session)
        found = source.status()
        is_unknown = session is None and found.store_is_down
    facts: dict[str, Any] = {**chosen.facts(), "alive": None if is_unknown else alive, **_times(found)}
    if session is not None or as_json:
        facts |= session_facts(session)
    if as_json:
        emit_json({**facts, "pauses": [{**attrs.asdict(each), "until": _utc(each.until)} for each in found.pauses]})
    else:
        emit_record(facts.items())
        for pause in found.pauses:
            note(f"No login is made until {_utc(pause.until)} ({pause.kind}): {pause.reason}")
        if session is None:
            note(_why_none(chosen))
        elif not alive:
            note("Salesforce refuses the stored session. To replace it: kinetic-auth login --fresh")
    if not alive:
        click.get_current_context().exit(TRY_LATER if is_unknown else NO_SESSION)


@click.command(cls=Command)
@choice_options
@click.option("--shared", is_flag=True, help="Confirm that every process which shares it loses it.")
@click.option("--local", is_flag=True, help="Only delete what is stored; revoke nothing.")
@json_option
def logout(shared: bool, local: bool, as_json: bool, **choice: str | None) -> None:
    """Revoke the stored session and the refresh token, and remove both from the store.

    Every process that shares them loses them, and logs in again when it next needs a session. So --shared is required,
    except for the user's own file store, which is used if the configuration names no store. A provider that begins with
    a configured refresh token needs a new one afterwards, also after --local.

    \b
    --json prints
      {"provider", "environment", "store", "revoked", "grant_revoked"}
    where "revoked" and "grant_revoked" (of the refresh token) are false if there was none, it was dead already, or
    --local was given; or if the store does not respond (exit code 5).
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    with command_source(Choice(**choice), keeps=False) as chosen:
        source = chosen.source
        session = source.peek()
        keeps_token = source.keeps_token
        if (session is not None or keeps_token) and not shared and not chosen.is_own:
            raise ConfigurationError(
                f"the session in the store {chosen.store!r} is shared: every process that uses it would lose it.",
                remedy="Add --shared to confirm.",
            )
        revoked = session is not None and not local and source.revoke(session)
        if session is not None:
            source.drop(session)
        grant_revoked = keeps_token and source.end_grant(revokes=not local)
    facts = {**chosen.facts(), "revoked": revoked, "grant_revoked": grant_revoked}
    if as_json:
        emit_json(facts)
    else:
        emit_record(facts.items())
        if session is None:
            note(_why_none(chosen))
    if session is None and source.store_is_down:
        click.get_current_context().exit(TRY_LATER)


def _times(found: SourceStatus) -> dict[str, Any]:
    live = found.session
    return {
        "since": None if live is None else _utc(live.since),
        "until": None if live is None else _utc(live.until),
        "grant": found.grant,
        "paused_until": None if found.paused_until is None else _utc(found.paused_until),
    }


def _utc(seconds: float) -> str:
    """A time in Unix seconds as ISO 8601 in UTC."""
    return utc(dt.datetime.fromtimestamp(seconds, dt.UTC), "seconds")


def _why_none(chosen: CommandSource) -> str:
    if chosen.store == "memory":
        return "The configured store is memory: each process keeps its session in its own memory."
    if chosen.source.store_is_down:
        return "The store does not respond. It may still hold a live session: try again once it is back."
    return "The store has no session for this login."
