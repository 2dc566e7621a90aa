"""`kinetic-auth exec`: runs a command with the live session, and without the login's secrets."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.exit_codes import CANNOT_RUN, NOT_FOUND
from kinetic_auth_core.cli.options import Choice, config_options
from kinetic_auth_core.cli.output import note
from kinetic_auth_core.cli.source import command_source
from kinetic_auth_core.cli.token import session_variables
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.errors import KineticAuthError
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, SESSION_STORES
from kinetic_auth_core.registry.loading import load_authenticator, load_session_store
from kinetic_auth_core.settings.schema import Setting, schema

_PASSED_ON = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_REFERENCE = re.compile(r"env://([A-Za-z_]\w*)")
_NAMED = re.compile(r"(?:env://|\$\{)([A-Za-z_]\w*)")


@click.command(
    cls=Command,
    name="exec",
    short_help="Run a command with the live session in its environment.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@config_options
@click.option("--keep-env", is_flag=True, help="Leave the variables of secrets in the command's environment.")
@click.argument("command", nargs=-1, required=True, metavar="-- CMD [ARG]...", type=click.UNPROCESSED)
def exec_command(command: tuple[str, ...], keep_env: bool, **choice: str | None) -> None:
    """Run CMD with SF_ACCESS_TOKEN, SF_INSTANCE_URL and SF_API_VERSION in its environment.

    The session is the one that `token` prints. Variables that could fill a secret setting of an environment or a store
    (such as SF_PASSWORD, PROD_SF_CLIENT_SECRET) are left out of CMD's environment, unless --keep-env is given.

    SIGINT, SIGTERM and SIGHUP are passed on to CMD. The exit code is that of CMD; 128 + N if signal N ended it; 127 if
    CMD was not found and 126 if it cannot be run.

    \b
      kinetic-auth exec -e prod -- python nightly.py
      kinetic-auth exec -- sh -c 'curl -H "Authorization: Bearer $SF_ACCESS_TOKEN" "$SF_INSTANCE_URL/services/data"'
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    with command_source(Choice(provider=None, **choice)) as chosen:
        session = chosen.source.session()
        hidden = set() if keep_env else secret_variables(Configuration.load(choice["config"], choice["env_file"]))
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    variables |= session_variables(session) | {"SF_API_VERSION": session.api_version}
    sys.exit(_run(command, variables))


def secret_variables(configuration: Configuration) -> set[str]:
    """The variables of this process that could fill a secret setting of any environment or store.

    These are the variables of the secret settings of all installed providers and stores, also with the prefix of an
    environment; and those that the config file or such a variable names for a secret, with `${NAME}` or `env://NAME`.

    Args:
        configuration: The files.
    """
    of_stores = _secrets(SESSION_STORES, load_session_store)
    of_providers = _secrets(AUTHENTICATORS, load_authenticator)
    ends = {f"SF_STORE_{each.name.upper()}" for each in of_stores} | {each.env for each in of_providers}
    is_secret = re.compile(rf"(?:.*_)?(?:{'|'.join(map(re.escape, sorted(ends)))})", re.IGNORECASE)
    found = {name for name in os.environ if is_secret.fullmatch(name)}
    file = configuration.file
    tables = [file.defaults, file.environments, *(table.settings for table in file.allowed.tables.values())]
    found |= set(_named_in(tables, {each.name for each in (*of_stores, *of_providers)}))
    return found | {name for each in found for name in _REFERENCE.findall(os.environ.get(each, ""))}


def _secrets(group: str, load: Callable[[str], tuple[Any, type]]) -> list[Setting]:
    found: list[Setting] = []
    for plugin in Configuration().allowed.search(group):
        with contextlib.suppress(KineticAuthError):  # a plugin that does not load has no variables
            found += [setting for setting in schema(load(plugin.name)[1]) if setting.secret]
    return found


def _named_in(value: object, secret_keys: Container[str], *, is_secret: bool = False) -> Iterator[str]:
    """The variables that a config file names for secrets."""
    if isinstance(value, str):
        yield from (_NAMED if is_secret else _REFERENCE).findall(value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _named_in(each, secret_keys, is_secret=is_secret or key in secret_keys)
    elif isinstance(value, Iterable):
        for each in value:
            yield from _named_in(each, secret_keys, is_secret=is_secret)


def _run(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a command, pass signals on to it, and return its exit code as a shell would."""
    waiting: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
            return  # Ctrl-C: the terminal sends it to the command as well
        if child is None:
            waiting.append(number)
        else:
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        child = subprocess.Popen(command, env=dict(variables))  # noqa: S603 - it is what the user typed
        for number in waiting:
            child.send_signal(number)
        code = child.wait()
    except FileNotFoundError:
        note(f"{command[0]}: command not found")
        return NOT_FOUND
    except OSError as error:
        note(f"{command[0]} cannot be run: {error.strerror or error}")
        return CANNOT_RUN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code
