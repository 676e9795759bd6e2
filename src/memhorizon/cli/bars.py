"""Progress bars: live on a terminal, a line now and then where the output is kept in a file."""

import sys

from tqdm import tqdm

SECONDS_ON_TERMINALS = 0.1
SECONDS_IN_FILES = 30.0  # between two states in a log, where each of them stays


def bar(name: str, *, unit: str = "it", total: int | None = None, quiet: bool = False) -> tqdm:
    """A bar on the error output; close it, or use it in a `with`.

    Args:
        name: what is being done.
        unit: what is counted.
        total: of how many; None where it is not known yet.
        quiet: show nothing.
    """
    between = SECONDS_ON_TERMINALS if _is_terminal() else SECONDS_IN_FILES
    return tqdm(
        desc=name,
        unit=unit,
        total=total,
        mininterval=between,
        maxinterval=max(between, 1.0),
        dynamic_ncols=True,
        disable=quiet,
    )


def _is_terminal() -> bool:
    """Whether the error output is looked at live; the filter before it never says so."""
    stream = getattr(sys.stderr, "behind", sys.stderr)
    return stream is not None and not stream.closed and stream.isatty()
