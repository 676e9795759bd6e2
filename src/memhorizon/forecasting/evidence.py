"""What an answer rests on: exponents, the prior beside what the pilots say alone, the largest left out."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats
from scipy.special import ndtri

from memhorizon.errors import InputError
from memhorizon.forecasting.answers import ForecastTime
from memhorizon.forecasting.design import design
from memhorizon.forecasting.fitting import Fit, Question
from memhorizon.forecasting.left_out import left_out
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.priors import FIXED, FULL, ONLY, Exponent
from memhorizon.results import Estimate, ScalingLaw
from memhorizon.timescales.power_law import fit_scaling

NODES = 1000  # of the normal distribution, at even ranks


def with_evidence(made: ForecastTime, found: Fit, question: Question) -> ForecastTime:
    """The answer with exponents, prior, conflict and what the smaller pilots say of the largest."""
    times = [pilot.time(question.timescale) for pilot in found.pilots]
    law, name = _alone(found.pilots, question)
    return replace(
        made,
        exponents=_exponents(found, question.confidence),
        prior={name: _believed(question.beliefs[name], question.confidence) for name in found.design.names},
        alone=None if law is None else law.exponents[ONLY],
        conflict=math.nan if law is None else _conflict(law, question.beliefs[name]),
        left_out=left_out(found.pilots, question),
        observed=sum(time.observed for time in times),
        censored=sum(not time.observed for time in times),
    )


def _exponents(found: Fit, confidence: float) -> dict[str, Estimate]:
    """What pilots and prior say of the exponents, which come last among the questions."""
    first = len(found.design.asked)
    return {name: _exponent(found, first + i, confidence) for i, name in enumerate(found.design.names)}


def _exponent(found: Fit, question: int, confidence: float) -> Estimate:
    tail = (1 - confidence) / 2
    middle, low, high = (
        found.posterior.quantile(question, share, of_a_run=False) for share in (0.5, tail, 1 - tail)
    )
    return Estimate(middle, low, high, confidence)


def _believed(belief: Exponent, confidence: float) -> Estimate:
    half = float(stats.norm.isf((1 - confidence) / 2)) * belief.sd
    return Estimate(belief.mean, belief.mean - half, belief.mean + half, confidence)


def _alone(pilots: Sequence[Pilot], question: Question) -> tuple[ScalingLaw | None, str]:
    """The law of the pilots without a prior, and which exponent of n it shows; None where they show none."""
    every = design([pilot.point for pilot in pilots], [], question.beliefs)
    sizes = [name for name in every.names if name in (ONLY, FULL, FIXED)]
    if len(sizes) != 1:
        return None, ""
    by = tuple(ONLY if name in (FULL, FIXED) else name for name in every.names)
    rows = [({**_factors(pilot.point), "time": pilot.time(question.timescale)}) for pilot in pilots]
    try:
        law = fit_scaling(rows, by=by, confidence=question.confidence)
    except InputError:  # factors that cannot be told apart, or times of several confidences
        return None, ""
    return (law if law.fitted else None), sizes[0]


def _factors(point: Point) -> dict[str, object]:
    return {"n_train": point.n_train, "width": point.width, "lr": point.lr}


def _conflict(law: ScalingLaw, belief: Exponent) -> float:
    """Probability of an exponent as far from the prior, d, as that which the pilots show.

    Their error e is estimated with few degrees of freedom k: P(|e T + sd Z| >= d) with T ~ t_k, Z ~ N(0, 1).
    """
    place = 1 + list(law.exponents).index(ONLY)
    error = math.sqrt(float(law.covariance[place, place]))
    d = abs(law.exponents[ONLY].value - belief.mean)
    if not (law.degrees and error):
        return float(2 * stats.norm.sf(d / math.hypot(error, belief.sd)))
    z = ndtri((np.arange(NODES) + 0.5) / NODES)
    # Z is symmetric, so that both tails of T weigh alike: 2 E_z P(T >= (d - sd z) / e)
    return float(2 * np.mean(stats.t.sf((d - belief.sd * z) / error, law.degrees)))
