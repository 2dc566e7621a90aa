"""Sphinx directives for the parts that `generated` makes: ```{provider-settings} jwt-bearer``` and the like."""  # noqa: INP001 - not a package: conf.py puts this folder on the path

from collections.abc import Callable
from typing import Any, ClassVar

import generated
from docutils import nodes
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


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    makers: dict[str, Callable[..., str]] = {
        "providers": generated.providers_table,
        "provider-settings": generated.settings_table,
        "common-settings": generated.common_settings_table,
        "source-settings": generated.source_settings_table,
        "store-settings": generated.store_settings_table,
        "fault-table": generated.fault_table,
        "doctor-table": generated.doctor_table,
        "error-catalogue": generated.catalogue_table,
        "error-tree": generated.error_tree,
        "exit-codes": generated.exit_codes_table,
        "modules": generated.modules_table,
        "command-help": generated.command_help,
    }
    for name, make in makers.items():
        app.add_directive(name, type(name, (_Generated,), {"make": staticmethod(make)}))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
