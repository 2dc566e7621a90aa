"""The picture of a terminal in the docs shows what the command does today, and no token."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "terminal" / "record.py"


def lines(picture: Path) -> list[str]:
    """The lines that a picture shows, without what differs from run to run."""
    found: dict[str, str] = {}
    texts = re.findall(r'<text [^>]*\by="([\d.]+)"[^>]*>(.*?)</text>', picture.read_text("utf-8"))
    for place, text in texts:
        found[place] = found.get(place, "") + html.unescape(text).replace("\xa0", " ")
    shown = [line.rstrip() for line in found.values()]
    return [re.sub(r":\d{4,5}\b|\b00[D5]\w+|\d{4}-\d\d-\d\dT.*", "_", line) for line in shown if line]


@pytest.mark.usefixtures("full_tier")
def test_it_is_what_the_command_shows_today(tmp_path: Path) -> None:
    new = tmp_path / "session.svg"
    subprocess.run([sys.executable, str(SCRIPT), str(new)], check=True, timeout=120)
    assert lines(SCRIPT.with_name("session.svg")) == lines(new), f"run python {SCRIPT.relative_to(ROOT)}"
    assert "$ kinetic-auth token prod" in lines(new)


def test_it_has_no_token_and_loads_nothing() -> None:
    text = html.unescape(SCRIPT.with_name("session.svg").read_text("utf-8"))
    assert re.findall(r"00D\w+!", text) == []
    assert "masked" in text
    assert re.findall(r'(?:src|href)\s*[=:(]\s*["\']?http[^"\')]*|url\("http[^"]*', text) == []
