"""Qualities of the user's own: under which names they may be given, and how their answers are read."""

from collections.abc import Callable, Mapping
from numbers import Real

from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.measure.means import Mean
from memhorizon.measure.quality import Distance
from memhorizon.results import Estimate

Quality = Callable[[Tensor, Tensor], Distance | Mean | Estimate | float]

# Names of what every snapshot is measured for, which no quality of a user's can have.
MEASURES = ("train", "holdout", "gap", "score_error", "invalid", "memorized", "frechet", "kernel", "kl")


def checked_qualities(qualities: object) -> dict[str, Quality]:
    """What was given as qualities, by name; empty for None.

    Raises:
        InputError: if they are no functions by name, or a name is that of a measure.
    """
    if qualities is None:
        return {}
    if not isinstance(qualities, Mapping):
        wanted = "a mapping of names to functions"
        raise InputError(f"qualities: expected {wanted}, got {type(qualities).__name__}")
    for name, found in qualities.items():
        _check_quality(name, found)
    return dict(qualities)


def _check_quality(name: object, found: object) -> None:
    _check_quality_name(name)
    if not callable(found):
        raise InputError(f"qualities: expected a function for {name!r}, got {type(found).__name__}")


def _check_quality_name(name: object) -> None:
    if not isinstance(name, str) or not name.isidentifier() or name in MEASURES:
        wanted = f"a name of letters, digits and _ that is none of {', '.join(MEASURES)}"
        raise InputError(f"qualities: expected {wanted}, got {name!r}")


def as_mean(name: str, value: object) -> Mean:
    """A user's answer as a mean with its standard error.

    Raises:
        InputError: if it is none of the answers that a quality may give.
    """
    if isinstance(value, Distance):
        return value.corrected
    if isinstance(value, Mean):
        return value
    if isinstance(value, Estimate):
        return Mean(value.value, _error_of(value), 1)
    return Mean(_number(name, value), 0.0, 1)


def note_of(answer: object) -> str:
    """What limits a distance; empty where nothing does, or where the answer is another."""
    return answer.limits if isinstance(answer, Distance) else ""


def _number(name: str, value: object) -> float:
    """A user's answer as a number, which counts as exact."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, Real) and not isinstance(value, bool):
        return _as_float(name, value)
    wanted = "a Distance, a Mean, an Estimate or a number"
    raise InputError(f"qualities: expected {wanted} from {name!r}, got {type(value).__name__}")


def _as_float(name: str, value: Real) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise InputError(f"qualities: expected a number of float64 from {name!r}, got more") from error


def _error_of(estimate: Estimate) -> float:
    """The standard error of which a normal interval of this coverage has this width."""
    from scipy import stats  # half a second that most do not need

    quantile = float(stats.norm.isf((1 - estimate.confidence) / 2))
    return (estimate.high - estimate.low) / (2 * quantile)
