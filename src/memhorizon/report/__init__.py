"""A record as one page for people, and as one sentence.

A kind of page is a module of this folder whose name ends in _page and that defines `PAGE`: nothing else
lists it.
"""

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module

from memhorizon.errors import InputError
from memhorizon.experiments.run_directory import RunDir
from memhorizon.records.sweep import SweepRecord
from memhorizon.report.page import Page
from memhorizon.report.sweep_page import page as page_of_sweep

__all__ = ["report", "sentence"]


def report(record: object, runs: Sequence[RunDir] = ()) -> str:
    """Write a record as a self-contained HTML page.

    Args:
        record: of a sweep, an audit, a monitored training, a forecast or a plan, as `load_record` reads it.
        runs: run directories of a sweep, for the generated images; without them that part says so. The
            other pages show nothing of them.

    Returns:
        HTML text: no script, nothing loaded from elsewhere, the same bytes each time.

    Raises:
        InputError: if there is no page for such a record, or a number in it cannot be drawn.
    """
    if isinstance(record, SweepRecord):
        return page_of_sweep(record, runs)
    return _page_of(record).html(record)


def sentence(record: object) -> str:
    """Say in one sentence what was found.

    Raises:
        InputError: if there is no page for such a record.
    """
    return _page_of(record).sentence(record)


@cache
def _pages() -> tuple[Page, ...]:
    """The page that each module of this folder defines."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(import_module(f"{__name__}.{name}").PAGE for name in names if name.endswith("_page"))


def _page_of(record: object) -> Page:
    for page in _pages():
        if isinstance(record, page.kind):
            return page
    kinds = ", ".join(page.kind.__name__ for page in _pages())
    raise InputError(f"record: expected one of {kinds} (load_record gives it), got {type(record).__name__}")
