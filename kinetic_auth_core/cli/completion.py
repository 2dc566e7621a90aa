"""`kinetic-auth completion`: the shell's completion of commands, options, environments and providers."""

import click
from click.shell_completion import get_completion_class

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.output import emit

_PROGRAM, _VARIABLE = "kinetic-auth", "_KINETIC_AUTH_COMPLETE"  # as click names it


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, environments, providers and files in SHELL.

    \b
    Load it in each new shell:
      bash  eval "$(kinetic-auth completion bash)"       in ~/.bashrc; bash 4.4 or newer
      zsh   eval "$(kinetic-auth completion zsh)"        in ~/.zshrc, after compinit
      fish  kinetic-auth completion fish | source        in ~/.config/fish/config.fish

    The environments are those of the config file that the command would use. A file that is not trusted is not read.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101 - click has all three
    emit(script(ctx.find_root().command, {}, _PROGRAM, _VARIABLE).source())
