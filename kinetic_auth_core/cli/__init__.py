"""The command line, `kinetic-auth`. Needs the extra `cli` (click and rich).

This module only starts the program, and says how to install the extra if it is missing. Each command is in the module
of its name; `output` prints results and errors.
"""

import sys


def main() -> None:
    """The console script's entry point. Ends the process with one of the codes of `exit_codes`."""
    from kinetic_auth_core.cli.exit_codes import INTERRUPTED, USAGE

    try:
        import rich  # noqa: F401 - used later, on a terminal; reported now if it is missing

        from kinetic_auth_core.cli.commands import cli
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"click", "rich"}:
            raise
        print(f'kinetic-auth needs {missing}: pip install "kinetic-auth-core[cli]"', file=sys.stderr)  # noqa: T201
        sys.exit(USAGE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    cli.main(prog_name="kinetic-auth")
