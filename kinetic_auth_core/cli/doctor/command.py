"""The command `kinetic-auth doctor`."""

import sys
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import click

from kinetic_auth_core.cli.application import Command
from kinetic_auth_core.cli.doctor.report import Check, Report, Status
from kinetic_auth_core.cli.options import Choice, choice_options, json_option, settings_layer, settings_option
from kinetic_auth_core.cli.output import emit, emit_json, shortened, styled, wrapped
from kinetic_auth_core.cli.progress import waiting
from kinetic_auth_core.config.merge import Layer

_COLORS = {"ok": "green", "warning": "yellow", "failure": "red", "skipped": "bright_black"}


class _DoctorCommand(Command):
    """A command that reads the `.env` file itself, as one that cannot be read is what it reports."""

    def invoke(self, ctx: click.Context) -> Any:
        ctx.params["env_path"] = ctx.params.pop("env_file")
        return super().invoke(ctx)


@click.command(cls=_DoctorCommand)
@choice_options
@settings_option("A setting; may be repeated. Not for secrets.")
@click.option("--login", "logs_in", is_flag=True, help="Log in once, and make one REST call with the session.")
@json_option
def doctor(
    pairs: list[tuple[str, str]], logs_in: bool, as_json: bool, env_path: str | None, **choice: str | None
) -> None:
    """Check everything that a login needs, in the order of dependency: the first failure is the cause of the others.

    Files and their trust, environment, plugins, settings and where they come from, secrets, keys and certificates, the
    host and its audience, store, proxy, DNS, TLS, the clock. Without --login nobody logs in; one request asks the host
    for its public configuration. Secrets are fetched, and shown nowhere. With --login one login is made and one REST
    call, which tell scopes, API version and limits.

    Each line is ok, warning, failure or skipped, with the reason and what to click or type. The exit code is 0 without
    a failure; else that of the first one: 2 configuration, 3 key or secret, 4 refused, 5 no usable answer.

    \b
    --json prints
      {"checks": [{"name", "status": "ok|warning|failure|skipped", "message", "remedy",
                   "setting", "source"}],
       "root_cause": the first failure of "checks" again, or null}
    where "setting" and "source" are null if the check is not about one setting.
    """  # noqa: D301 - \b is click does not rewrap such a paragraph
    report = _examined(Choice(env_file=env_path, **choice), settings_layer(pairs), logs_in=logs_in)
    cause = report.root_cause
    if as_json:
        facts = [check.facts() for check in report.checks]
        emit_json({"checks": facts, "root_cause": cause.facts() if cause else None})
    else:
        _print(report)
    if cause is not None:
        click.get_current_context().exit(cause.code)


def _examined(choice: Choice, settings: Layer, *, logs_in: bool) -> Report:
    from kinetic_auth_core.cli.doctor.stages import STAGES, Examination, examine

    examination = Examination(choice, settings, logs_in)
    try:
        with waiting("Examining"):
            examine(examination, STAGES)
    finally:
        examination.close()
    return examination.report


def _print(report: Report) -> None:
    width = max(len(check.name) for check in report.checks)
    for (status, message), group in groupby(report.checks, lambda check: (check.status, check.message)):
        checks = list(group)
        if status == "skipped" and len(checks) > 1:  # for the same reason: one line is enough
            names = ", ".join(check.name for check in checks)
            emit(_colored(wrapped(f"{names}: {message}", f"{status:<8} "), status))
            continue
        _print_checks(checks, width)
    emit(f"\n{_verdict(report, report.root_cause)}")


def _print_checks(checks: Iterable[Check], width: int) -> None:
    for check in checks:
        label = f"{check.status:<8} {check.name:<{width}}  "
        emit(_colored(wrapped(shortened(check.message), label), check.status))
        if check.remedy and check.status in ("warning", "failure"):
            emit(wrapped(f"Remedy: {shortened(check.remedy)}", " " * len(label)))


def _colored(block: str, status: Status) -> str:
    return styled(status, sys.stdout, fg=_COLORS[status]) + block.removeprefix(status)


def _verdict(report: Report, cause: Check | None) -> str:
    if cause is not None:
        lines = [wrapped(f"{cause.name}: {shortened(cause.message)}", "Root cause: ")]
        return "\n".join([*lines, *([wrapped(shortened(cause.remedy), "Remedy: ")] if cause.remedy else [])])
    warnings = sum(check.status == "warning" for check in report.checks)
    return f"No failure, {warnings} warning(s)." if warnings else "All is well."
