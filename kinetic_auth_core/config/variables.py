"""Environment variables of the process, then of a `.env` file; and `${NAME}` in a config file.

`os.environ` is never changed.
"""

import contextlib
import io
import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

import attrs

from kinetic_auth_core.config.files import read_text, warn_if_others_write
from kinetic_auth_core.locations import expanded, find_upwards, is_null
from kinetic_auth_core.settings.schema import (
    ExplainedSetting,
    Setting,
)

logger = logging.getLogger(__name__)

_REFERENCE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")


def without_line_end(text: str) -> str:
    """A value without the line break at its end, as `echo` and editors leave one in a secret of Kubernetes."""
    return text.rstrip("\r\n")


def has_references(value: Any) -> bool:
    """Whether a value, or an item of a list or table, contains `${`."""
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(has_references(item) for item in value.values())
    return isinstance(value, list) and any(has_references(item) for item in value)


def interpolate(value: Any, lookup: Callable[[str], str | None]) -> Any:
    """Replace `${NAME}` by the variables' values. The values are not interpolated again.

    Args:
        value: Text, or a list or table of text; anything else is returned unchanged.
        lookup: Returns a variable's value, or None if it is not set.

    Raises:
        ValueError: A variable is not set and has no default, or a `${` is not a reference.
    """
    if isinstance(value, dict):
        return {key: interpolate(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, lookup) for item in value]
    if not isinstance(value, str):
        return value

    def replacement(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name is None or "${" in (default or ""):
            raise ValueError('has a "${" that is not ${VARIABLE}; for literal text write { value = "..." }')
        found = lookup(name)
        if found is None and default is None:
            raise ValueError(f"the variable {name} is not set; set it, or give a default: ${{{name}:-...}}")
        return default if found is None or (found == "" and default is not None) else found

    return _REFERENCE.sub(replacement, value)


@attrs.frozen(eq=False, repr=False, match_args=False)
class VariableLayer:
    """The variables of the process, or of a `.env` file.

    Attributes:
        values: Name to text. An empty value counts as not set.
        path: The `.env` file; None for the process.
        how_to_name_it: For a file that was found by searching: the argument that names it; None otherwise.
        made_of: The variables that python-dotenv has put into a value, in the place of `${NAME}`.
    """

    values: Mapping[str, str] = attrs.field(repr=False)
    path: Path | None = None
    how_to_name_it: str | None = None
    made_of: Mapping[str, Collection[str]] = attrs.field(factory=dict, repr=False)

    def get(self, name: str) -> str | None:
        """The value, or None if it is not set or empty."""
        return self.values.get(name) or None

    def source(self, name: str) -> str:
        """The name of the variable, for `explain()` and errors."""
        return name if self.path is None else f"{name} ({self.path})"


@attrs.frozen(eq=False, repr=False, match_args=False)
class Variables:
    """All layers of variables, highest first."""

    layers: tuple[VariableLayer, ...]

    @classmethod
    def load(cls, env_file: str | os.PathLike[str] | None = None) -> Self:
        """Load the variables of the process and of `.env`.

        Args:
            env_file: A `.env` file. Default: the nearest one in the working directory or a parent, if any.

        Raises:
            ConfigurationError: The file is missing, unreadable or not UTF-8; or was found and is not trusted.
        """
        path: Path | None
        how_to_name_it = None
        if env_file is not None:
            path = expanded(env_file)
            warn_if_others_write(path, "env_file")
        elif path := find_upwards(".env", may_be_pipe=True):
            how_to_name_it = f'env_file="{path}"'
        process = VariableLayer(os.environ)
        if path is None or is_null(path):
            return cls((process,))
        return cls((process, _read(path, how_to_name_it)))

    def find(self, name: str) -> tuple[str, str] | None:
        """Value and source of a variable, from the highest layer that sets it."""
        layer = self.layer_of(name)
        return None if layer is None else (layer.values[name], layer.source(name))

    def layer_of(self, name: str) -> VariableLayer | None:
        """The highest layer that sets a variable."""
        return next((layer for layer in self.layers if layer.get(name) is not None), None)

    def lookup(self, name: str) -> str | None:
        """The value for a `${NAME}` in a config file; an empty value counts here."""
        return next((layer.values[name] for layer in self.layers if name in layer.values), None)

    def found_file_of(self, text: str, found: str | None) -> str | None:
        """Whether a value of a config file was decided by a file that nobody named.

        Args:
            text: The value as it is written in the config file.
            found: How to name that config file, if it was found by searching.

        Returns:
            How to name the file that decided it: `.env`, if a variable came from there, or the config file; None if the
            caller did, who named the files, or set the variable that is all of the value.
        """
        names = [match[1] for match in _REFERENCE.finditer(text) if match[1]]
        layers = [next((layer for layer in self.layers if name in layer.values), None) for name in names]
        for layer in layers:
            if layer is not None and layer.how_to_name_it is not None:
                return layer.how_to_name_it
        is_a_variable = len(layers) == 1 and layers[0] is not None and _REFERENCE.fullmatch(text)
        return None if is_a_variable and layers[0] and layers[0].values[names[0]] else found


_pipes: ContextVar[dict[Path, str] | None] = ContextVar("kinetic_auth_pipes", default=None)


@contextlib.contextmanager
def pipes_read_once() -> Iterator[None]:
    """While this holds, a `.env` that is a pipe is read once: what was read is not there a second time."""
    token = _pipes.set({})
    try:
        yield
    finally:
        _pipes.reset(token)


def _text_of(path: Path, how_to_name_it: str | None) -> str:
    """The text of a file; one that was found instead of named must be trusted."""
    kept = _pipes.get()
    if kept is not None and path in kept:
        return kept[path]
    remedy = "Correct its path or its permissions."
    text = read_text(path, ".env file", how_to_name_it, remedy=remedy, may_be_pipe=True)
    if kept is not None and path.is_fifo():
        kept[path] = text
    return text


def _read(path: Path, how_to_name_it: str | None) -> VariableLayer:
    from dotenv.main import DotEnv

    text = _text_of(path, how_to_name_it)
    lines = list(DotEnv(None, io.StringIO(text, newline=None), interpolate=False).parse())
    values = _with_dotenv_interpolation(lines)
    written = dict(lines) if "${" in text else {}
    _warn_of_gaps(path, written, values)
    return VariableLayer(
        {name: value for name, value in values.items() if value is not None},
        path,
        how_to_name_it,
        {name: [match[1] for match in _IN_DOTENV.finditer(value or "")] for name, value in written.items()},
    )


def _with_dotenv_interpolation(lines: Iterable[tuple[str, str | None]]) -> dict[str, str | None]:
    """The values of a `.env` file with each `${NAME}` replaced, as python-dotenv replaces it.

    By the value of a line further up, else by the process's variable, else by the default, else by nothing.
    python-dotenv does it in a time that grows with the square of the number of lines.

    Args:
        lines: The names and values as they are written, in their order; None for a name without a value.
    """
    values: dict[str, str | None] = {}

    def replacement(match: re.Match[str]) -> str:
        name, default = match[1], match[2] or ""
        return (values[name] or "") if name in values else os.environ.get(name, default)

    for name, value in lines:
        values[name] = None if value is None else _IN_DOTENV.sub(replacement, value)
    return values


def _warn_of_gaps(path: Path, written: Mapping[str, str | None], values: Mapping[str, str | None]) -> None:
    """Warn of the variables of ours in which python-dotenv has put nothing in the place of a `${NAME}`."""
    for variable, value in written.items():
        unset = [
            match[1]
            for match in _IN_DOTENV.finditer(value or "")
            if match[2] is None and match[1] not in os.environ and match[1] not in values
        ]
        if unset and "SF_" in variable:
            logger.warning(
                "%s (%s): ${%s} is not set, so nothing stands in its place; a password that contains ${ cannot be "
                "written into a .env file: set it in the environment of the process, or in the config file as "
                "{ value = ... }",
                *(variable, path, "}, ${".join(unset)),
            )


_IN_DOTENV = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")


#: The source of a value from a variable: `SF_PASSWORD`, or `SF_PASSWORD (/srv/app/.env)`.
_FROM_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*(?: \(|$)")


def quoted_values(
    settings: Sequence[Setting], rows: Iterable[ExplainedSetting], values: Mapping[str, Any]
) -> list[str]:
    """The variables whose value is in quotes, as `docker run --env-file` leaves them: a sentence for each.

    Args:
        settings: The settings; those that take keys are left out, whose quotes are removed.
        rows: The same, as `explain()` has them.
        values: Their values.
    """
    keys = {each.name for each in settings if each.takes_bytes}
    found = []
    for row in rows:
        text = values.get(row.name)
        if not isinstance(text, str) or row.name in keys or not _FROM_VARIABLE.match(row.source):
            continue
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            found.append(
                f"{row.name} (from {row.source}) is in quotes, which count as a part of it: docker run --env-file and "
                "some shells leave them there; write the value without them"
            )
    return found
