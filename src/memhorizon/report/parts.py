"""The pieces of a page: text made safe, sections, pictures inside of it, tables."""

import html
import re
from collections.abc import Sequence
from typing import Any

from memhorizon import figures
from memhorizon.figures.records import printable
from memhorizon.figures.style import WIDTH
from memhorizon.report.ink import inked

SMALLEST = 0.85  # of its size in print: type of 8 points is then shown at 9 pixels
LONG_NUMBER = re.compile(r"(\d*[1-9]\d*\.\d\d)\d+")


def text_of(value: Any) -> str:
    """A value as text that is no markup and shows all of its characters."""
    return html.escape(printable(str(value)))


def section(title: str, *parts: str, level: int = 2) -> str:
    """A part of the page under its title; empty where nothing stands in it."""
    body = "\n".join(part for part in parts if part)
    return f"<section><h{level}>{title}</h{level}>\n{body}\n</section>" if body else ""


def paragraphs(lines: Sequence[str], kind: str = "") -> str:
    """Lines of markup as a list; empty where there are none."""
    look = f' class="{kind}"' if kind else ""
    return f"<ul{look}>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>" if lines else ""


def folded(summary: str, body: str) -> str:
    """Details behind a line."""
    return f"<details><summary>{summary}</summary>{body}</details>"


def picture_of(name: str, picture: figures.Picture, caption: str, alt: str) -> str:
    """A picture in the page's colours, no wider than in print; where the page is narrow it scrolls."""
    figure = picture.plot()
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)  # the page is the paper
    text = figures.svg(figure)
    points = float(text.split('width="', 1)[1].split("pt", 1)[0])
    text = LONG_NUMBER.sub(r"\1", re.sub(r"\sxmlns(:xlink)?=\"[^\"]*\"", "", text[text.index("<svg") :]))
    widest = f"max-width:{min(points / 72 / WIDTH, 1):.0%}"
    narrowest = f"min-width:{points / 72 * 96 * SMALLEST:.0f}px"
    look = f'role="img" aria-label="{text_of(alt)}" style="{widest};{narrowest}"'
    text = inked(_own_names(name, text)).replace("<svg ", f"<svg {look} ", 1)
    return f'<figure><div class="wide" tabindex="0">{text}</div><figcaption>{caption}</figcaption></figure>'


def _own_names(name: str, text: str) -> str:
    """Make the names inside a picture unique on the page; those that nothing refers to go."""
    text = re.sub(r"xlink:href=\"#", f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    used = set(re.findall(r"#([^\")]+)[\")]", text))

    def own(found: re.Match[str]) -> str:
        new = f"{name}-{found[1]}"
        if new not in used:
            return ""
        used.discard(new)  # matplotlib writes some definitions twice
        return f' id="{new}"'

    return re.sub(r"\sid=\"([^\"]*)\"", own, text)


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table that scrolls where it is wider than the page."""
    head = "".join(f"<th>{text_of(entry)}</th>" for entry in heads)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{text_of(entry)}</td>" for entry in row) + "</tr>" for row in rows
    )
    rows_of = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    return f'<div class="wide" tabindex="0">{rows_of}</div>'
