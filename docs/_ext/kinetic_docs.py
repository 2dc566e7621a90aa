"""Sphinx directives for the parts that `generated` makes: ```{provider-settings} jwt-bearer``` and the like."""  # noqa: INP001 - not a package: conf.py puts this folder on the path

from collections.abc import Callable
from typing import Any, ClassVar

from docutils import nodes
from generated import MAKERS
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class _Generated(SphinxDirective):
    """A directive whose content is a piece of Markdown."""

    optional_arguments = 1
    final_argument_whitespace = True
    make: ClassVar[Callable[..., str]]

    def run(self) -> list[nodes.Node]:
        """The piece, parsed."""
        return self.parse_text_to_nodes(type(self).make(*self.arguments))


def _mark_code(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """In a docstring, what stands indented behind a blank line is code; what a section such as Args has is not."""
    for number in range(len(lines) - 1, 1, -1):
        before = next((line for line in reversed(lines[:number]) if line), "")
        if lines[number].startswith("    ") and not lines[number - 1] and not before.startswith(" "):
            lines[number:number] = ["::", ""]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name, make in MAKERS.items():
        app.add_directive(name, type(name, (_Generated,), {"make": staticmethod(make)}))
    app.connect("autodoc-process-docstring", _mark_code, priority=400)  # before napoleon reads the sections
    return {"parallel_read_safe": True, "parallel_write_safe": True}
