"""From hyperparameters to the columns of a regression of log time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from memhorizon.forecasting.pilots import Point
from memhorizon.forecasting.priors import FIXED, FULL, ONLY, Exponent

# log time = a + c log B + f log(n / B) + w log W + r log lr, with B = min(n, batch): c is the exponent of n
# where the batch is the whole set (B = n), f that at a fixed batch.
COLUMNS: Mapping[str, Callable[[Point], float | None]] = {
    FULL: lambda point: point.batch_size,
    FIXED: lambda point: None if point.batch_size is None else point.n_train / point.batch_size,
    "width": lambda point: point.width,
    "lr": lambda point: point.lr,
}
FLAT = 1e-9  # a logarithm that varies by less does not vary


@dataclass(frozen=True)
class Design:
    """The columns that vary, their beliefs, and where pilots and questions lie in them.

    Attributes:
        names: of the columns.
        mean: of the beliefs about their exponents. [k]
        sd: standard deviations of these. [k]
        pilots: logarithms of the columns. [rows, k]
        asked: the same of the points that are asked for. [q, k]
    """

    names: tuple[str, ...]
    mean: Float[np.ndarray, " k"]
    sd: Float[np.ndarray, " k"]
    pilots: Float[np.ndarray, "rows k"]
    asked: Float[np.ndarray, "q k"]


def design(pilots: Sequence[Point], asked: Sequence[Point], beliefs: Mapping[str, Exponent]) -> Design:
    """The columns that vary among pilots and the points that are asked for."""
    columns = _columns([*pilots, *asked])
    split = len(pilots)
    varied = {name: logs for name, logs in columns.items() if np.ptp(logs) > FLAT}
    names = tuple(varied)
    table = np.array([varied[name] for name in names]).T.reshape(len(pilots) + len(asked), len(names))
    return Design(
        names,
        np.array([beliefs[name].mean for name in names]),
        np.array([beliefs[name].sd for name in names]),
        table[:split],
        table[split:],
    )


def _columns(points: Sequence[Point]) -> dict[str, Float[np.ndarray, " rows"]]:
    """Each column that all points have, in logarithms; n alone where batches are not known."""
    values = {name: [of(point) for point in points] for name, of in COLUMNS.items()}
    if None in values[FULL]:
        del values[FULL], values[FIXED]
        values = {ONLY: [point.n_train for point in points], **values}
    known = {name: column for name, column in values.items() if None not in column}
    return {name: np.log(np.array(column, dtype=float)) for name, column in known.items()}
