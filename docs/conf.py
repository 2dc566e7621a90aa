"""How Sphinx builds these pages: Markdown by MyST, the API from docstrings in Google's form."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "kinetic-auth"
author = "The kinetic-auth authors"
copyright = f"2026, {author}"
release = version_of("kinetic-auth-core")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "kinetic_docs"]
exclude_patterns = ["_build", "examples"]

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
