"""How the documentation is built: `make docs`, offline, every warning an error."""

from importlib.metadata import version

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

project = "memhorizon"
author = "the memhorizon authors"
copyright = author  # noqa: A001 - the name that Sphinx reads
release = version("memhorizon")

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


def setup(app: Sphinx) -> None:
    """Register the writer of formulas."""
    app.add_html_math_renderer("mathml", (inline_formula, None), (block_formula, None))


html_math_renderer = "mathml"
