"""How values are printed, wherever they go."""

import io
import sys

import pytest

from kinetic_auth_core.cli import output


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "-"),
        ("", '""'),
        (True, "true"),
        (5.0, "5.0"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("na\u00efve", "na\u00efve"),
    ],
)
def test_a_cell_shows_a_value_unambiguously(value: object, cell: str) -> None:
    assert output.displayed(value) == cell


def test_words_stay_whole_when_lines_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    url = "https://acme--uat.sandbox.my.salesforce.com/services/oauth2/token"
    lines = output.wrapped(f"see {url} for more of this and that and everything else", "Remedy: ").splitlines()
    assert lines[0] == "Remedy: see"
    assert lines[1] == f"        {url}"
    assert all(line.startswith("        ") for line in lines[1:])


def test_lists_keep_their_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = output.wrapped("2 problems:\n  - the first is long enough to need a second line\n  - the second", "Error: ")
    assert text.splitlines() == [
        "Error: 2 problems:",
        "         - the first is long enough to",
        "           need a second line",
        "         - the second",
    ]


def test_an_empty_line_stays() -> None:
    assert output.wrapped("a\n\nb") == "a\n\nb"


def test_a_letter_missing_in_the_encoding_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.emit("M\u00fcller")
    assert raw.getvalue().decode("ascii").strip() == "M\\xfcller"
