"""Optional logging set-up: level and folder from the environment. The library does not set up logging by itself."""

import logging
import os
import sys
from pathlib import Path

from kinetic_auth_core.config.environment import Variables
from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import expanded

LOG_FILE = "kinetic-auth.log"
_MAX_BYTES = 10 * 1024 * 1024
_BACKUPS = 5
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_MARK = "_kinetic_auth"


def configure_logging(env_file: str | os.PathLike[str] | None = None) -> None:
    """Set up the root logger from `LOG_LEVEL` (default INFO) and `LOG_DIR`, for scripts and jobs.

    Records go to stderr, and with `LOG_DIR` also to `kinetic-auth.log` in that folder, which is created if needed; the
    file is rotated at 10 MB, with five backups. Another call replaces its own handlers and keeps all others.

    Args:
        env_file: A `.env` file; default: the nearest one in the working directory or a parent, if any.

    Raises:
        ConfigurationError: `LOG_LEVEL` is not a level, or `LOG_DIR` cannot be written.
    """
    variables = Variables.load(env_file)
    level, level_source = variables.find("LOG_LEVEL") or ("INFO", "default")
    known = [name for name in logging.getLevelNamesMapping() if name != "NOTSET"]
    if level.upper() not in known:
        raise ConfigurationError(f"{level_source}: {level!r} is not a log level; use one of {', '.join(known)}.")
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if folder := variables.find("LOG_DIR"):
        handlers.append(_file_handler(*folder))
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if getattr(handler, _MARK, False)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        setattr(handler, _MARK, True)
        handler.setFormatter(logging.Formatter(_FORMAT))
        root.addHandler(handler)
    root.setLevel(level.upper())


def _file_handler(folder: str, source: str) -> logging.Handler:
    from logging.handlers import RotatingFileHandler  # it imports sockets and pickle

    path = Path(folder) / LOG_FILE
    try:
        path = expanded(folder) / LOG_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8", delay=False)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{source}: cannot write to {path.parent}: {why}.") from error
