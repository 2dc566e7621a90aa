"""`kinetic-auth token`: prints the live access token, for scripts."""

import shlex

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.options import Choice, choice_options, json_option
from kinetic_auth_core.cli.output import emit, emit_json
from kinetic_auth_core.cli.progress import waiting
from kinetic_auth_core.cli.source import command_source
from kinetic_auth_core.session import SalesforceSession

_FORMATS = ("token", "header", "env", "json")


@click.command(cls=Command)
@choice_options
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="token",
    help="token alone; header: Authorization: Bearer TOKEN; env: lines for sh; json. Default: token.",
)
@json_option
def token(form: str, as_json: bool, **choice: str | None) -> None:
    """Print the live access token, and nothing else on stdout.

    It comes from the store. If there is none, one login is made and kept there, so that further calls cost no login.
    Without a configured store, sessions are kept in the user's own file store.

    Salesforce is not asked whether a kept token is still valid: kinetic-auth status asks. Where a client gets 401
    INVALID_SESSION_ID for it, run kinetic-auth login --fresh, and ask again.

    \b
    --format json prints
      {"access_token", "instance_url", "expires_at"}
    where "expires_at" is in Unix seconds; null if Salesforce does not say.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    with command_source(Choice(**choice)) as chosen, waiting("Logging in"):
        session = chosen.source.session()
    _print(session, "json" if as_json else form)


def _print(session: SalesforceSession, form: str) -> None:
    if form == "json":
        names = ("access_token", "instance_url", "expires_at")
        emit_json({name: getattr(session, name) for name in names})
    elif form == "header":
        emit(f"Authorization: {session.auth_header['Authorization']}")
    elif form == "env":
        emit("\n".join(f"{name}={shlex.quote(value)}" for name, value in session_variables(session).items()))
    else:
        emit(session.access_token)


def session_variables(session: SalesforceSession) -> dict[str, str]:
    """The environment variables that hand a session on: `SF_ACCESS_TOKEN` and `SF_INSTANCE_URL`.

    Args:
        session: The session.
    """
    return {"SF_ACCESS_TOKEN": session.access_token, "SF_INSTANCE_URL": session.instance_url}
