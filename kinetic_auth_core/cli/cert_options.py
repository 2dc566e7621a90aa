"""The passphrase of a key, as the commands of `cert` take it: from a variable, never from the command line."""

import os
from collections.abc import Callable
from typing import Any

import click

from kinetic_auth_core.errors import ConfigurationError


def passphrase_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--passphrase-env NAME`.

    Args:
        help_text: What the passphrase is for.
    """
    return click.option("--passphrase-env", metavar="NAME", help=help_text)


def passphrase_in(variable: str | None) -> bytes | None:
    """The passphrase that a variable holds; None where none is named.

    Raises:
        ConfigurationError: It is not set, or empty.
    """
    if variable is None:
        return None
    if text := os.environ.get(variable):
        return os.fsencode(text)
    # Its name is not quoted: somebody may have given the passphrase itself.
    raise ConfigurationError(
        "--passphrase-env names a variable that is not set, or empty.",
        remedy="Give the name of a variable that holds the passphrase, not the passphrase.",
    )
