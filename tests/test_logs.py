"""`configure_logging`: level and folder from the environment, only if it is called."""

import logging
import logging.handlers
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def added(before: list[logging.Handler]) -> list[logging.Handler]:
    return [handler for handler in logging.getLogger().handlers if handler not in before]


def test_without_any_variable_lines_of_info_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    kinetic.configure_logging()
    logging.getLogger("app").info("hello")
    logging.getLogger("app").debug("unheard")
    shown = capsys.readouterr()
    assert "INFO app: hello" in shown.err
    assert "unheard" not in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(("value", "level"), [("DEBUG", 10), ("warning", 30), ("Error", 40), ("CRITICAL", 50)])
def test_the_level_is_read_in_any_case(monkeypatch: pytest.MonkeyPatch, value: str, level: int) -> None:
    monkeypatch.setenv("LOG_LEVEL", value)
    kinetic.configure_logging()
    assert logging.getLogger().level == level


def test_an_invalid_level_is_an_error_that_lists_the_levels_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, level = list(logging.getLogger().handlers), logging.getLogger().level
    for value in ("loud", "NOTSET", "10"):
        monkeypatch.setenv("LOG_LEVEL", value)
        with pytest.raises(
            kinetic.ConfigurationError, match=rf"LOG_LEVEL: '{value}' is not a log level; use one of .*INFO"
        ):
            kinetic.configure_logging()
    assert added(before) == []
    assert logging.getLogger().level == level


def test_the_log_folder_is_created_and_gets_a_rotated_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    folder = tmp_path / "var" / "log"
    monkeypatch.setenv("LOG_DIR", str(folder))
    kinetic.configure_logging()
    logging.getLogger("app").warning("grüezi")
    assert "WARNING app: grüezi" in (folder / "kinetic-auth.log").read_text(encoding="utf-8")
    stream, file = added(before)
    assert isinstance(file, logging.handlers.RotatingFileHandler)
    assert (file.maxBytes, file.backupCount) == (10 * 1024 * 1024, 5)
    assert not isinstance(stream, logging.FileHandler)


def test_the_folder_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_DIR", "~/logs")
    kinetic.configure_logging()
    assert (Path.home() / "logs" / "kinetic-auth.log").exists()


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = list(logging.getLogger().handlers)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "file" / "logs"))
    with pytest.raises(
        kinetic.ConfigurationError, match=f"LOG_DIR: cannot write to {tmp_path}/file/logs: Not a directory"
    ):
        kinetic.configure_logging()
    assert added(before) == []


def test_a_folder_at_the_home_of_nobody_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_DIR", "~no-such-user/logs")
    with pytest.raises(kinetic.ConfigurationError, match="LOG_DIR"):
        kinetic.configure_logging()


def test_the_variables_may_be_in_dotenv_or_a_named_file(tmp_path: Path) -> None:
    Path(".env").write_text("LOG_LEVEL=ERROR\n")
    Path(".env").chmod(0o600)
    kinetic.configure_logging()
    assert logging.getLogger().level == logging.ERROR
    named = tmp_path / "named.env"
    named.write_text("LOG_LEVEL=loud\n")
    with pytest.raises(kinetic.ConfigurationError, match=rf"LOG_LEVEL \({named}\): 'loud' is not a log level"):
        kinetic.configure_logging(named)


def test_another_call_replaces_its_own_handlers_and_keeps_all_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = logging.NullHandler()
    logging.getLogger().addHandler(mine)
    before = list(logging.getLogger().handlers)
    monkeypatch.setenv("LOG_DIR", str(tmp_path))
    kinetic.configure_logging()
    first = added(before)
    monkeypatch.delenv("LOG_DIR")
    kinetic.configure_logging()
    second = added(before)
    assert (len(first), len(second)) == (2, 1)
    assert not set(first) & set(second)
    assert mine in logging.getLogger().handlers
    assert first[1].stream is None  # type: ignore[attr-defined]  # its file was closed


@pytest.mark.usefixtures("full_tier")
def test_the_library_never_sets_up_logging_by_itself(tmp_path: Path) -> None:
    script = (
        "import logging, kinetic_auth_core as kinetic\n"
        "source = kinetic.resolve('password', client_id='c', client_secret='s', username='u', password='p',\n"
        "                         login_url='http://127.0.0.1:1')\n"
        "try:\n"
        "    source.session()\n"
        "except kinetic.TransportError:\n"
        "    pass\n"
        "ours = [name for name in logging.root.manager.loggerDict if name.startswith('kinetic_auth')]\n"
        "assert ours\n"
        "print(logging.root.handlers, logging.root.level, [logging.getLogger(name).handlers for name in ours if\n"
        "                                                  logging.getLogger(name).handlers])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[] 30 []\n"
