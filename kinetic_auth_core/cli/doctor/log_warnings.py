"""Warnings of the log, which become checks of the report."""

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator

from kinetic_auth_core.cli.diagnostics import WarningPrinter
from kinetic_auth_core.cli.doctor.report import Report

#: dotenv says which line of a `.env` file it cannot read.
_LOGGERS = ("kinetic_auth", "dotenv")


@contextlib.contextmanager
def warnings_captured() -> Iterator[list[str]]:
    """Collect the warnings of the log that appear while this holds; they are not printed a second time."""
    root, found = logging.getLogger(), _Collector()
    printers = [each for each in root.handlers if isinstance(each, WarningPrinter)]
    root.addHandler(found)
    for printer in printers:
        printer.addFilter(_is_not_ours)
    try:
        yield found.messages
    finally:
        root.removeHandler(found)
        for printer in printers:
            printer.removeFilter(_is_not_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.startswith(_LOGGERS) and record.levelno >= logging.WARNING


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _is_ours(record)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if _is_ours(record) and record.getMessage() not in self.messages:
            self.messages.append(record.getMessage())


def split_advice(warning: str) -> tuple[str, str]:
    """The message of a warning, and its advice, which follows the first sentence or semicolon."""
    match = re.match(r"(.+?\)?)(?:\. |; )(?=\w)(.+)$", warning, re.DOTALL)
    return (f"{match[1]}.", match[2][:1].upper() + match[2][1:]) if match else (warning, "")


def warn_of(report: Report, name: str, warnings: Iterable[str], setting: str | None = None) -> None:
    """Add a check for each warning of the log.

    Args:
        report: Takes them.
        name: The name of the check.
        warnings: The warnings.
        setting: The setting that they are about.
    """
    for warning in warnings:
        message, remedy = split_advice(warning)
        report.add(name, "warning", message, remedy, setting)
