"""What the shell is given to complete: the values of options and arguments."""

import logging
from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem


def complete_environments(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The environments of the config file that counts; none if it cannot be used."""
    return _beginning(_environments(ctx), incomplete)


def complete_providers(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The installed providers. None is imported."""
    return _beginning(_providers(), incomplete)


def complete_providers_and_environments(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The installed providers, and the environments, which may stand in the place of one."""
    return _beginning([*_environments(ctx), *_providers()], incomplete)


def complete_files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete a file."""
    return [CompletionItem(incomplete, type="file")]


def _beginning(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _environments(ctx: click.Context) -> list[str]:
    from kinetic_auth_core.config.environment import Configuration
    from kinetic_auth_core.errors import ConfigurationError

    logging.disable()  # a warning would be written into the line that is being typed; the process ends after this
    try:
        return list(Configuration.load(ctx.params.get("config"), ctx.params.get("env_file")).file.environments)
    except ConfigurationError:
        return []


def _providers() -> list[str]:
    from kinetic_auth_core.registry.discovery import AUTHENTICATORS, installed

    return sorted({each.name for each in installed(AUTHENTICATORS)})
