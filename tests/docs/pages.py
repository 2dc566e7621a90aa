"""Pages of the docs as the tests see them: their fenced blocks, each with its language and what is noted above it."""

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("**/*.md")), *sorted(ROOT.glob("providers/*/README.md")), ROOT / "README.md"]

_FENCE = re.compile(r"^```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Block:
    """A fenced block.

    Attributes:
        page: The page it stands on.
        line: The line of its first line, from 1.
        language: What stands behind the fence.
        text: What is in it.
        note: The HTML comment right above it; empty if there is none.
    """

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def file_name(self) -> str | None:
        """The file that the block is, where its first line is a comment with nothing but a name."""
        named = re.match(r"# ([\w-]*\.\w+)\n", self.text)
        return named[1] if named else None


def name_of(page: Path) -> str:
    """The page's path in the repository, for the names of tests."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page that have a language, top to bottom."""
    text = page.read_text("utf-8")
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        note = re.search(r"<!-- (.*) -->\n+\Z", before)
        yield Block(page, before.count("\n") + 2, match["language"], match["text"], note[1] if note else "")
