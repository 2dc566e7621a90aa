"""What the doctor has found: one record for each check, in the order in which they depend on each other."""

import re
from typing import Any, Literal

import attrs

from kinetic_auth_core.cli.advice import MISSPELT, NOT_NAMED, advice, place_of
from kinetic_auth_core.cli.exit_codes import OK, UNEXPECTED, USAGE, exit_code_of
from kinetic_auth_core.config.construct import name_places, with_place
from kinetic_auth_core.config.environment import MISSING
from kinetic_auth_core.errors import ConfigurationError, KineticAuthError
from kinetic_auth_core.settings.schema import ExplainedSetting

Status = Literal["ok", "warning", "failure", "skipped"]


@attrs.frozen
class Check:
    """One line of the report.

    Attributes:
        name: What was checked.
        status: How it is.
        message: The fact, or the reason of the status.
        remedy: What to click or type; empty if there is nothing to do.
        setting: The setting that it is about, or None.
        source: Where that setting comes from, or None.
        code: For a failure: the exit code of its kind.
        is_suspicion: Whether a login that succeeds proves that it is not a failure.
        makes_moot: Whether the checks that need it say nothing where it is a failure, or is moot itself.
    """

    name: str
    status: Status
    message: str
    remedy: str = ""
    setting: str | None = None
    source: str | None = None
    code: int = OK
    is_suspicion: bool = False
    makes_moot: bool = True

    def facts(self) -> dict[str, Any]:
        """The fields that `--json` prints."""
        names = ("name", "status", "message", "remedy", "setting", "source")
        return {name: getattr(self, name) for name in names}


class Report:
    """The checks so far.

    Attributes:
        checks: In the order of dependency.
        rows: The settings, once they are known: they tell where the setting of a check comes from.
        variables: The names of the variables that are set, also by `.env`.
    """

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.rows: tuple[ExplainedSetting, ...] = ()
        self.variables: tuple[str, ...] = ()

    @property
    def root_cause(self) -> Check | None:
        """The first failure; None if there is none."""
        return next((check for check in self.checks if check.status == "failure"), None)

    def add(
        self, name: str, status: Status, message: str, remedy: str = "", setting: str | None = None, **more: Any
    ) -> None:
        """Add a check; its source is that of its setting.

        Args:
            name: As for `Check`, like the others.
            status: How it is.
            message: The fact, or the reason.
            remedy: What to do.
            setting: The setting that it is about.
            **more: Other attributes of `Check`.
        """
        source = more.pop("source", None) or self._source(setting)
        self.checks.append(Check(name, status, message, remedy, setting, source, **more))

    def skip(self, name: str, why: str) -> None:
        """Add a check that does not apply; those that need it go on."""
        self.add(name, "skipped", why, makes_moot=False)

    def moot(self, name: str, cause: str) -> None:
        """Add a check that says nothing, as another one has failed."""
        self.add(name, "skipped", f"not checked: {cause} comes first.")

    def failed(
        self,
        name: str,
        error: KineticAuthError,
        setting: str | None = None,
        *,
        source: str | None = None,
        hint: str = "",
        fallback: str | None = None,
    ) -> None:
        """Add what an error says, as a login would say it.

        Args:
            name: The check.
            error: The error.
            setting: The setting that it is about; None: the first one that it names.
            source: Where that comes from; None: as its row says.
            hint: What to do besides the error's remedy.
            fallback: The setting where it names none.
        """
        error = with_place(error, sorted(self.rows, key=lambda row: row.name != setting))
        name_places(error, self.rows)
        setting = setting or self.named_in(f"{error.message} {error.remedy}") or fallback
        row = self._row(setting)
        where = source or (row.source if row and row.source != "default" else None)
        remedies = [error.remedy or (f"Correct {where if source else f'{setting} in {where}'}." if where else ""), hint]
        if row and "passed over" in row.note:
            remedies.append(f"{row.name} comes from {row.source}; {row.note}.")
        remedy = " ".join(filter(None, remedies))
        self.add(name, "failure", error.message, remedy, setting, source=source, code=exit_code_of(error))

    def problem(self, name: str, problem: str, remedy: str = "", code: int = USAGE) -> None:
        """Add a problem of the configuration: a sentence that begins with its setting and source."""
        problem, _, said = problem.partition(" Remedy: ")
        setting, source = place_of(problem)
        remedy = said or remedy or advice(problem, self.variables)
        self.add(name, "failure", problem, remedy, setting, source=source, code=code)

    def problems(self, name: str, error: ConfigurationError) -> None:
        """Add each problem of an error."""
        if error.problems == (error.message,):
            self.problem(name, error.message, error.remedy, exit_code_of(error))
            return
        # A variable that is misspelt may be what is missing; a misspelt host is nothing to trust.
        for each in sorted(error.problems, key=lambda problem: (MISSPELT not in problem, NOT_NAMED in problem)):
            remedy = f"{advice(each, self.variables)} {error.remedy}" if error.remedy and MISSING.search(each) else ""
            self.problem(name, each, remedy, exit_code_of(error))

    def unexpected(self, name: str, error: Exception) -> None:
        """Add an error that should not happen; its text may quote anything."""
        what = f"{name} could not be checked: {type(error).__name__} was raised."
        self.add(name, "failure", what, "Run it again with --debug to see where.", code=UNEXPECTED)

    def settle_suspicions(self) -> None:
        """Turn suspicions into warnings, as the login has succeeded in spite of them."""
        self.checks = [
            attrs.evolve(each, status="warning", message=f"{each.message} (The login succeeded in spite of it.)")
            if each.is_suspicion and each.status == "failure"
            else each
            for each in self.checks
        ]

    def has(self, setting: str) -> bool:
        """Whether the provider has a setting."""
        return self._row(setting) is not None

    def _row(self, setting: str | None) -> ExplainedSetting | None:
        return next((row for row in self.rows if row.name == setting), None)

    def _source(self, setting: str | None) -> str | None:
        row = self._row(setting)
        return row.source if row else None

    def named_in(self, text: str) -> str | None:
        """The setting that a text names first. Some are called by common words, such as `proxy` and `store`."""
        names = {}
        for row in self.rows:
            name = rf"\b{row.name}\b"
            is_a_word = "_" not in row.name
            pattern = rf"(?:^|[Ss]et |Check |Correct ){name}(?! login)|{name} \(from" if is_a_word else name
            if match := re.search(pattern, text):
                names[row.name] = match.start()
        return min(names, key=lambda name: names[name], default=None)
