"""How Sphinx builds these pages: Markdown by MyST, the API from docstrings in Google's form."""

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

# The page of each provider is in its own folder, with links that work there; Sphinx reads pages below its own alone.
_pages = Path(__file__).parent / "providers"
_pages.mkdir(exist_ok=True)
for _page in _pages.glob("*.md"):
    _page.unlink()
for _page in sorted(Path(__file__).parents[1].glob("providers/*/docs.md")):
    _text = _page.read_text("utf-8").replace("](../../docs/", "](../")
    _text = re.sub(r"\]\(\.\./([a-z-]+)/docs\.md", r"](\1.md", _text)
    _pages.joinpath(f"{_page.parent.name}.md").write_text(_text, "utf-8")

project = "kinetic-auth"
author = "The kinetic-auth authors"
copyright = f"2026, {author}"
release = version_of("kinetic-auth-core")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "kinetic_docs"]
exclude_patterns = ["_build", "examples", "performance-table.md"]

html_theme = "furo"
html_title = f"kinetic-auth {version}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# nitpicky stays off: it would want every standard type of a signature resolved, which takes other projects' inventories
# from the network, and the build must not depend on one.
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
default_role = "code"
