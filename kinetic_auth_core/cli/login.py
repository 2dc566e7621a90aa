"""`kinetic-auth login`: logs in with the current configuration, and keeps the session in the store."""

from functools import partial

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.options import Choice, choice_options, json_option, settings_layer, settings_option
from kinetic_auth_core.cli.output import emit_json, emit_record, note, session_facts
from kinetic_auth_core.cli.progress import waiting
from kinetic_auth_core.cli.source import command_source, refuse_secrets
from kinetic_auth_core.redaction import MASK


@click.command(cls=Command)
@choice_options
@settings_option("A setting; may be repeated. Not for secrets.")
@click.option("--fresh", is_flag=True, help="Log in again, even if the store has a live session.")
@click.option("--show-token", is_flag=True, help="Show the access token.")
@json_option
def login(pairs: list[tuple[str, str]], fresh: bool, show_token: bool, as_json: bool, **choice: str | None) -> None:
    """Log in, keep the session in the store, and show it. A live session in the store is shown without a login.

    Without a configured store, sessions are kept in the user's own file store. `token` and `exec` use them.

    PROVIDER may be left out if the environment of the config file names it. Secrets come from the config file, the
    environment or .env, not from the command line.

    \b
    --json prints
      {"provider", "environment", "store", "instance_url", "base_url", "org_id", "user_id", "username",
       "api_version", "issued_at", "issued_at_ms", "scope", "token_type", "access_token"}
    with null for missing values; "issued_at" is ISO 8601 in UTC, "access_token" null
    without --show-token.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    settings = settings_layer(pairs)
    with command_source(Choice(**choice), settings, check=partial(refuse_secrets, settings)) as found:
        source = found.source
        with waiting("Logging in"):
            session = source._replaced_session() if fresh else source.session()  # noqa: SLF001 - of this package
        file = source.token_in_clear()
    if file is not None:
        note(
            f"The refresh token is in clear in {file}, which only this user can read. A keyring of the system "
            "(pip install keyring) or the setting key of the store encrypts it."
        )
    facts = {**found.facts(), **session_facts(session), "access_token": session.access_token if show_token else None}
    if as_json:
        emit_json(facts)
        return
    issued_at = f"{facts['issued_at'] or '-'} ({facts.pop('issued_at_ms')} ms)"
    token = facts["access_token"] or f"{MASK} (--show-token shows it)"
    emit_record({**facts, "issued_at": issued_at, "access_token": token}.items())
