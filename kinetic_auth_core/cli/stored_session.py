"""`kinetic-auth status` and `logout`: the session that a store keeps for all who share it."""

from typing import Any

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.exit_codes import NO_SESSION, TRY_LATER
from kinetic_auth_core.cli.options import Choice, choice_options, json_option
from kinetic_auth_core.cli.output import emit_json, emit_record, note, session_facts
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.resolution.resolver import resolve
from kinetic_auth_core.sessions.source import SessionSource


def _source(choice: Choice) -> SessionSource:
    return resolve(choice.provider, environment=choice.environment, config=choice.config, env_file=choice.env_file)


@click.command(cls=Command, short_help="Show the session that the store keeps, and whether it is alive.")
@choice_options
@json_option
def status(as_json: bool, **choice: str | None) -> None:
    """Show the session that the store keeps, and whether it is alive. It does not log in.

    The session is tried with a call of the REST API. Ends with 9 where there is no live session, with 5 where the store
    gives no answer.

    \b
    --json prints
      {"provider", "environment", "store", "alive", "instance_url", "base_url", "org_id", "user_id",
       "username", "api_version", "issued_at", "issued_at_ms", "scope", "token_type"}
    with null for what there is none of; "alive" is null where the store gives no answer.
    """  # noqa: D301 - \b is click's mark for a paragraph that is not to be filled
    with _source(Choice(**choice)) as source:
        session = source.peek()
        alive = session is not None and source.is_alive(session)
        is_unknown = session is None and source.store_is_down
    facts: dict[str, Any] = {**_where(source), "alive": None if is_unknown else alive}
    if session is not None:
        facts |= session_facts(session)
    if as_json:
        emit_json(facts)
    else:
        emit_record(facts.items())
        if session is None:
            note(_nothing_there(source))
    if not alive:
        click.get_current_context().exit(TRY_LATER if is_unknown else NO_SESSION)


@click.command(cls=Command, short_help="Revoke the session that the store keeps.")
@choice_options
@click.option("--shared", is_flag=True, help="Yes, for every process that shares it.")
@json_option
def logout(shared: bool, as_json: bool, **choice: str | None) -> None:
    """Revoke the session that the store keeps, and take it out of the store.

    Every process that shares the store loses it, and logs in anew when it next needs a session. So --shared is needed.

    \b
    --json prints
      {"provider", "environment", "store", "revoked"}
    where "revoked" is false if there was no session, or it was dead already; or if the store gives no answer, where
    the command ends with 5.
    """  # noqa: D301 - \b is click's mark for a paragraph that is not to be filled
    with _source(Choice(**choice)) as source:
        session = source.peek()
        if session is not None and not shared:
            raise ConfigurationError(
                f"the session in the store {_store_of(source)!r} is shared: every process that uses it would lose it.",
                remedy="Say --shared if that is what you want.",
            )
        revoked = session is not None and source.revoke(session)
    facts = {**_where(source), "revoked": revoked}
    if as_json:
        emit_json(facts)
    else:
        emit_record(facts.items())
        if session is None:
            note(_nothing_there(source))
    if session is None and source.store_is_down:
        click.get_current_context().exit(TRY_LATER)


def _where(source: SessionSource) -> dict[str, Any]:
    return {"provider": source.provider, "environment": source.environment, "store": _store_of(source)}


def _store_of(source: SessionSource) -> Any:
    return next(row.value for row in source.explain() if row.name == "store")


def _nothing_there(source: SessionSource) -> str:
    if _store_of(source) == "memory":
        return "No store is configured: each process keeps its session in its own memory, which is out of reach here."
    if source.store_is_down:
        return "The store gives no answer. It may keep a session, which goes on living: try again once it is back."
    return "The store keeps no session for this login."
