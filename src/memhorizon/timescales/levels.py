"""The level of quality at which tau_gen is read, one for all runs, and how well it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from memhorizon.checks import check_choice, check_number
from memhorizon.errors import InputError
from memhorizon.results import Curve, Status, two_sided
from memhorizon.timescales.readings import (
    alike,
    apart,
    check_curve,
    checked_confidence,
    deviation,
    has_intervals,
)
from memhorizon.timescales.rules import RelativeTo, Rules

TRIVIAL_NOISE_LOSS = 1.0  # E|noise|^2 / d: a network that predicts nothing where it is to predict the noise


@dataclass(frozen=True)
class Level:
    """The level of quality at which tau_gen is read: one for all runs, or why there is none.

    Attributes:
        value: in the unit of the curves; None where there is none.
        status: why there is none.
        sd: standard deviation of the level itself (`level_deviation`).
    """

    value: float | None
    status: Status
    sd: float = 0.0


def level_by(rules: Rules, curves: Sequence[Curve], *, predicts_noise: bool) -> Level:
    """The level that these rules mean for runs with these curves.

    Runs whose best value is not known, for they were still improving, and runs that never did better than a
    network that predicts nothing say nothing of the level, as long as there are others.

    Args:
        rules: how times are read.
        curves: the quality that the rules name, of each run that has it.
        predicts_noise: whether every one of these networks predicts the noise; of its loss it is known what a
            network has that predicts nothing.
    """
    positive = [curve for curve in curves if _can_be_relative(curve, rules)]
    if not positive:
        return Level(None, Status.NOT_MEASURED)
    learned = positive
    if rules.quality == "holdout" and predicts_noise:
        learned = [curve for curve in positive if _has_learned(curve, rules)]
    if not learned:
        return Level(None, Status.TRIVIAL_LEVEL)
    settled = [curve for curve in learned if not _improving(curve, rules)]
    if not settled:
        return Level(None, Status.STILL_IMPROVING)
    level = quality_level(settled, tolerance=rules.tolerance, relative_to=rules.relative_to)
    sd = level_deviation(settled, tolerance=rules.tolerance, relative_to=rules.relative_to)
    return Level(level, Status.OBSERVED, sd)


def _has_learned(curve: Curve, rules: Rules) -> bool:
    """Whether the level of a loss in the noise would be below that of a network that has learned nothing."""
    share = 1 + rules.tolerance
    return bool(share * curve.value.min() < TRIVIAL_NOISE_LOSS)


def _can_be_relative(curve: Curve, rules: Rules) -> bool:
    """Whether a level relative to the best value of a curve means something."""
    if rules.relative_to == "worst":
        return bool(curve.value.min() > 0)
    return has_intervals(curve) and resolved_best(curve) > 0


def _improving(quality: Curve, rules: Rules) -> bool:
    return has_intervals(quality) and still_improving(quality, tolerance=rules.tolerance)


def quality_level(
    curves: Sequence[Curve], *, tolerance: float = 0.05, relative_to: RelativeTo = "worst"
) -> float:
    """One level for all runs: (1 + tolerance) times the worst, or the best, of the runs' best values.

    The smallest of many noisy readings lies a little too low; the tolerance should exceed their relative
    error. Relative to the best value of any run, that value counts as no smaller than what its noise can tell
    from zero (`resolved_best`): a corrected distance of perfect samples lies around zero, where no level is
    relative to it.

    Args:
        curves: a quality along training, the smaller the better, of each run.
        tolerance: share above it.
        relative_to: "worst": a level that every run reaches; "best": one that good samples reach.

    Raises:
        InputError: if there is no curve, the tolerance is not positive, or a best value is not positive where
            the level is relative to the worst of them.
    """
    check_number("tolerance", tolerance, above=0)
    check_choice("relative_to", relative_to, get_args(RelativeTo))
    _check_curves(curves)
    if relative_to == "best":
        return (1 + tolerance) * min(resolved_best(curve) for curve in curves)
    return (1 + tolerance) * _worst_of_best(curves)


def _check_curves(curves: Sequence[object]) -> None:
    if not curves:
        raise InputError("curves: expected at least one, got none")
    for curve in curves:
        check_curve(curve)


def _worst_of_best(curves: Sequence[Curve]) -> float:
    """The largest of the smallest values of some runs."""
    best = [float(curve.value.min()) for curve in curves]
    if min(best) <= 0:
        raise InputError("curves: expected positive values, so that a relative tolerance means something")
    return max(best)


def level_deviation(
    curves: Sequence[Curve], *, tolerance: float = 0.05, relative_to: RelativeTo = "worst"
) -> float:
    """Standard deviation of `quality_level` where it rests on the best value of one run, else 0.

    A level that is relative to the worst run is a choice: that of another sweep would be another. One that is
    relative to the best value of all stands for samples as good as they get, which is known as well as that
    value is; where that is no more than its noise, the level is the noise's and is known.
    """
    if relative_to == "worst":
        return 0.0
    best = min(curves, key=resolved_best)
    if resolved_best(best) > _best_mean(best):
        return 0.0
    return (1 + tolerance) * _best_deviation(best)


def resolved_best(curve: Curve, *, confidence: float = 0.95) -> float:
    """The best value of a curve: the mean of all readings that its noise cannot tell from the smallest.

    The smallest of many noisy readings alone lies too low. The best value is no smaller than what noise can
    tell from zero, z sd.
    """
    check_curve(curve)
    resolution = two_sided(checked_confidence(confidence)) * _best_deviation(curve)
    return max(_best_mean(curve, confidence), resolution)


def _best_mean(curve: Curve, confidence: float = 0.95) -> float:
    """Mean of the readings that cannot be told from the smallest."""
    return float(curve.value[alike(curve, confidence)].mean())


def _best_deviation(curve: Curve) -> float:
    """Standard deviation of the smallest reading."""
    return float(deviation(curve)[np.argmin(curve.value)])


def still_improving(curve: Curve, *, tolerance: float = 0.05, confidence: float = 0.95) -> bool:
    """Whether a quality was still coming down at the end, so that its best value is not known.

    It was where the last reading cannot be told from the best, and the best lies below all readings of the
    first half of the training by more than the tolerance and more than noise: over the last doubling of the
    step the level would have come down by more than it is uncertain by its definition (`quality_level`).
    A single reading says nothing of it.

    Args:
        curve: the quality along training, the smaller the better.
        tolerance: of the level, relative to the best value.
        confidence: at which two readings are told apart, half of their variance shared (`crossing`).
    """
    check_curve(curve)
    if len(curve.step) < 2:
        return False
    best = int(np.argmin(curve.value))
    before = _best_of_first_half(curve)
    z = two_sided(checked_confidence(confidence))
    told_apart = curve.value - curve.value[best] > z * apart(curve, best)
    needed = curve.value[best] + tolerance * abs(curve.value[best])
    much = curve.value[before] > needed
    return bool(not told_apart[-1] and much and told_apart[before])


def _best_of_first_half(curve: Curve) -> int:
    """Where the curve is smallest up to half of its last step, or the first reading."""
    half = max(1, int(np.searchsorted(curve.step, curve.step[-1] / 2, side="right")))
    return int(np.argmin(curve.value[:half]))
