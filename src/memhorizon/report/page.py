"""What all pages share: a kind of record that has one, and the frame around its parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from memhorizon.report.ink import palette
from memhorizon.report.parts import text_of
from memhorizon.report.style import CSS

R = TypeVar("R")


@dataclass(frozen=True)
class Page(Generic[R]):
    """A kind of page.

    Attributes:
        kind: the type of its records.
        html: writes the page of a record, from the record alone.
        sentence: says in one sentence what was found.
    """

    kind: type[R]
    html: Callable[[R], str]
    sentence: Callable[[R], str]


def document(name: str, parts: Sequence[str], *, css: str = "") -> str:
    """The whole text of a page: its parts in one column, with the style sheet for light and dark paper.

    Args:
        name: of the page.
        parts: markup; empty ones are left out.
        css: what this page adds to the style sheet of all pages.
    """
    title = text_of(name)
    body = _body(title, parts)
    return (
        f'<!doctype html>\n<html lang="en">{_head(title, body, css)}\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _body(title: str, parts: Sequence[str]) -> str:
    """The parts below the title; a number and its per cent stay on one line."""
    body = "\n".join(part for part in (f"<h1>{title}</h1>", *parts) if part)
    return body.replace(" %", "\u00a0%")


def _head(title: str, body: str, css: str) -> str:
    head = f'<meta charset="utf-8"><title>{title}</title>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    style = f"<style>{CSS}{css}{palette(body)}</style>"
    return f"<head>{head}{view}{style}</head>"
