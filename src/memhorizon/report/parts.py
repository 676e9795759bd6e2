"""The pieces of a page: text made safe, sections, pictures inside of it, tables."""

import html
import re
from collections.abc import Sequence
from typing import Any

from memhorizon import figures
from memhorizon.figures.style import WIDTH


def text_of(value: Any) -> str:
    """A value as text that is no markup."""
    return html.escape(str(value))


def section(title: str, *parts: str) -> str:
    """A part of the page under its title."""
    return f"<section><h2>{title}</h2>\n" + "\n".join(parts) + "\n</section>"


def picture_of(name: str, picture: figures.Picture, caption: str, alt: str) -> str:
    """A picture inside the page, no wider than in print."""
    text = figures.svg(picture.plot())
    points = float(text.split('width="', 1)[1].split("pt", 1)[0])
    text = re.sub(r"\sxmlns(:xlink)?=\"[^\"]*\"", "", text[text.index("<svg") :])
    look = f'role="img" aria-label="{text_of(alt)}" style="max-width:{min(points / 72 / WIDTH, 1):.0%}"'
    text = _own_names(name, text).replace("<svg ", f"<svg {look} ", 1)
    return f"<figure>{text}<figcaption>{caption}</figcaption></figure>"


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
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
