"""How the documentation is built: `make docs`, offline, every warning an error."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

from docutils import nodes
from docutils.parsers.rst import Directive
from latex2mathml.converter import convert
from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle
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
bibtex_default_style = "keys"
suppress_warnings = [
    "myst.xref_missing"
]  # links to files of the repository, which are no pages; see `repository`

default_role = "code"
highlight_language = "text"  # of blocks that name no language
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


class KeyLabels(BaseLabelStyle):
    """The keys of references.bib as labels, as docstrings and pages have them."""

    def format_labels(self, sorted_entries: list[Entry]) -> Iterator[str]:
        """One label for each entry."""
        for entry in sorted_entries:
            yield entry.key


class KeyStyle(Style):
    """The plain style with these labels."""

    default_label_style = KeyLabels


register_plugin("pybtex.style.formatting", "keys", KeyStyle)
CITED = re.compile(r"\[([a-z]+\d{4}\w?)\](?!\()")  # [ho2020], and no link


def cite_in_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn [key] in a page into a link to the list of references."""
    source[0] = CITED.sub(r"{cite:p}`\1`", source[0])


def cite_in_docstring(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """The same in docstrings, where stars and bars of formulas and shapes are no markup."""
    for i, line in enumerate(lines):
        plain = re.sub(r"(?<![\w`\\])\*(?=\w)|\|(?=\S)", r"\\\g<0>", line)
        lines[i] = CITED.sub(r":cite:p:`\1`", plain)


def shape_in_type(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """The types of attributes, which napoleon writes itself, have shapes with stars too."""
    for i, line in enumerate(lines):
        if line.startswith(":vartype "):
            lines[i] = re.sub(r"(?<!\\)\*", r"\\*", line).replace("jaxtyping.", "")


def short_types(
    app: Sphinx,
    what: str,
    name: str,
    thing: object,
    options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Types by their names alone where a shape keeps Sphinx from shortening and linking them."""
    texts = (signature, returned)
    plain = (text and re.sub(r"~(?:\w+\.)+(?=\w)", "", text) for text in texts)
    shaped = any("~jaxtyping" in (text or "") for text in texts)
    return tuple(plain) if shaped else texts


class CommandHelp(Directive):
    """The help page of a command of memhorizon, as it is printed."""

    required_arguments = 1
    optional_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Run the command with --help and show what it prints."""
        words = [sys.executable, "-m", "memhorizon", *self.arguments, "--help"]
        plain = {**os.environ, "COLUMNS": "88", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(words, capture_output=True, text=True, env=plain, check=True, encoding="utf-8")
        block = nodes.literal_block(done.stdout, done.stdout)
        block["language"] = "text"
        return [block]


def setup(app: Sphinx) -> None:
    """Register the writer of formulas and the directive of commands."""
    app.add_directive("command", CommandHelp)
    app.connect("source-read", cite_in_page)
    app.connect("autodoc-process-docstring", cite_in_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", shape_in_type, priority=600)  # after it
    app.connect("autodoc-process-signature", short_types)
    app.add_html_math_renderer("mathml", (inline_formula, None), (block_formula, None))


html_math_renderer = "mathml"
