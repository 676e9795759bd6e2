"""How the documentation is built: `make docs`, offline, every warning an error."""

import os
import subprocess
import sys
from importlib import metadata

from docutils import nodes
from docutils.parsers.rst import Directive
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

project = "memhorizon"
author = "the memhorizon authors"
copyright = author  # noqa: A001 - the name that Sphinx reads
release = metadata.version("memhorizon")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "sphinx_copybutton",
]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
bibtex_bibfiles = ["references.bib"]
exclude_patterns = ["notes/README.md"]
suppress_warnings = [
    "myst.xref_missing"
]  # links to files of the repository, which are no pages; see `repository`

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"memhorizon {release}"
html_static_path = ["_static"]
html_css_files = ["memhorizon.css"]
html_copy_source = False
html_show_sphinx = False


def formula(translator: HTML5Translator, node: nodes.Element, display: str) -> None:
    """Write a formula as MathML, which every current browser draws without a script or a download."""
    translator.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def inline_formula(translator: HTML5Translator, node: nodes.Element) -> None:
    """Within a line."""
    formula(translator, node, "inline")


def block_formula(translator: HTML5Translator, node: nodes.Element) -> None:
    """On a line of its own."""
    formula(translator, node, "block")


class CommandHelp(Directive):
    """The help page of a command of memhorizon, as it is printed."""

    required_arguments = 1
    optional_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Run the command with --help and show what it prints."""
        words = [sys.executable, "-m", "memhorizon", *self.arguments, "--help"]
        plain = {**os.environ, "COLUMNS": "96", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(words, capture_output=True, text=True, env=plain, check=True, encoding="utf-8")
        block = nodes.literal_block(done.stdout, done.stdout)
        block["language"] = "text"
        return [block]


def setup(app: Sphinx) -> None:
    """Register the writer of formulas and the directive of commands."""
    app.add_directive("command", CommandHelp)
    app.add_html_math_renderer("mathml", (inline_formula, None), (block_formula, None))


html_math_renderer = "mathml"
