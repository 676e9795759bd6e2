"""The pieces of a page: text made safe, sections, lists, pictures inside of it, tables."""

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from memhorizon.errors import InputError
from memhorizon.figures.labels import printable
from memhorizon.figures.picture import Picture
from memhorizon.figures.style import WIDTH, svg
from memhorizon.report.ink import inked
from memhorizon.results import Status

SMALLEST = 0.85  # of its size in print: type of 8 points is then shown at 9 pixels
LONG_NUMBER = re.compile(r"(\d*[1-9]\d*\.\d\d)\d+")
LONG = 15  # rows from which on a table is folded


def text_of(value: object) -> str:
    """A value as text that is no markup and shows all of its characters."""
    return html.escape(printable(str(value)))


def section(title: str, *parts: str, level: int = 2) -> str:
    """A part of the page under its title; empty where there is nothing in it."""
    body = "\n".join(part for part in parts if part)
    return f"<section><h{level}>{title}</h{level}>\n{body}\n</section>" if body else ""


def paragraphs(lines: Sequence[str], kind: str = "") -> str:
    """Lines of markup as a list; empty where there are none."""
    look = f' class="{kind}"' if kind else ""
    return f"<ul{look}>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>" if lines else ""


def facts_list(lines: Mapping[str, str], kind: str = "facts") -> str:
    """Facts, each by its name, both markup; empty where there are none."""
    facts = "".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in lines.items())
    return f'<dl class="{kind}">{facts}</dl>' if facts else ""


def advice(statuses: Iterable[Status]) -> str:
    """What to try where numbers are missing: a line for each status that has one; empty where none has."""
    tries = [status for status in dict.fromkeys(statuses) if status.advice]
    return paragraphs([f"“{status}”: {text_of(status.advice)}" for status in tries], kind="advice")


def folded(summary: str, body: str) -> str:
    """Details behind a line."""
    return f"<details><summary>{summary}</summary>{body}</details>"


def picture(name: str, make: Callable[[], Picture], caption: str, alt: str) -> str:
    """A picture with its caption, or why there is none.

    Args:
        name: of the picture on the page.
        make: makes the figure.
        caption: markup below it.
        alt: what it shows, for those who do not see it.
    """
    try:
        return _picture_of(name, make(), caption, alt)
    except InputError as error:
        return f"<p>Not shown: {text_of(error)}.</p>"


def _picture_of(name: str, found: Picture, caption: str, alt: str) -> str:
    """A picture in the page's colours, no wider than in print; where the page is narrow it scrolls."""
    figure = found.plot()
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)  # the page is the paper
    drawing = svg(figure)
    inches = float(drawing.split('width="', 1)[1].split("pt", 1)[0]) / 72
    drawing = re.sub(r"\sxmlns(:xlink)?=\"[^\"]*\"", "", drawing[drawing.index("<svg") :])
    drawing = inked(_unique_names(name, LONG_NUMBER.sub(r"\1", drawing)))
    widest = f"max-width:{min(inches / WIDTH, 1):.0%}"
    narrowest = f"min-width:{inches * 96 * SMALLEST:.0f}px"
    look = f'role="img" aria-label="{text_of(alt)}" style="{widest};{narrowest}"'
    drawing = drawing.replace("<svg ", f"<svg {look} ", 1)
    return (
        f'<figure><div class="wide" tabindex="0">{drawing}</div><figcaption>{caption}</figcaption></figure>'
    )


def _unique_names(name: str, text: str) -> str:
    """Make the names inside a picture unique on the page; those that nothing refers to go."""
    text = re.sub(r"xlink:href=\"#", f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    used = set(re.findall(r"#([^\")]+)[\")]", text))

    def unique(found: re.Match[str]) -> str:
        new = f"{name}-{found[1]}"
        if new not in used:
            return ""
        used.discard(new)  # matplotlib writes some definitions twice
        return f' id="{new}"'

    return re.sub(r"\sid=\"([^\"]*)\"", unique, text)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table that scrolls where it is wider than the page."""
    head = _cells("th", heads)
    body = "\n".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    content = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    return f'<div class="wide" tabindex="0">{content}</div>'


def _cells(tag: str, entries: Sequence[object]) -> str:
    return "".join(f"<{tag}>{text_of(entry)}</{tag}>" for entry in entries)


def table_of_runs(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with a row per run; a long one is folded."""
    listed = table(heads, rows)
    return folded(f"{len(rows)} runs", listed) if len(rows) > LONG else listed
