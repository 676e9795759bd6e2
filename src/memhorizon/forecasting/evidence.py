"""What an answer rests on: exponents, the prior beside what the pilots say alone, the largest left out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scipy import stats

from memhorizon.errors import InputError
from memhorizon.forecasting.answers import ForecastTime
from memhorizon.forecasting.design import Design, design
from memhorizon.forecasting.fitting import Fit, Question
from memhorizon.forecasting.left_out import left_out
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.priors import FIXED, FULL, ONLY, Exponent
from memhorizon.results import Estimate, ScalingLaw
from memhorizon.timescales.power_law import fit_scaling


def with_evidence(made: ForecastTime, found: Fit, question: Question) -> ForecastTime:
    """The answer with exponents, prior, conflict and what the smaller pilots say of the largest."""
    times = [pilot.time(question.timescale) for pilot in found.pilots]
    law = _alone(found.pilots, question)
    return replace(
        made,
        exponents=_exponents(found, question.confidence),
        prior={name: _believed(question.beliefs[name], question.confidence) for name in found.design.names},
        alone=None if law is None else law.exponents[ONLY],
        conflict=math.nan if law is None else _conflict(law, found.design, question.beliefs),
        left_out=left_out(found.pilots, question),
        observed=sum(time.observed for time in times),
        censored=sum(not time.observed for time in times),
    )


def _exponents(found: Fit, confidence: float) -> dict[str, Estimate]:
    """What pilots and prior say of the exponents, which come last among the questions."""
    tail = (1 - confidence) / 2
    first = len(found.design.asked)
    exponents = {}
    for i, name in enumerate(found.design.names):
        middle, low, high = (
            found.posterior.quantile(first + i, share, of_a_run=False) for share in (0.5, tail, 1 - tail)
        )
        exponents[name] = Estimate(middle, low, high, confidence)
    return exponents


def _believed(belief: Exponent, confidence: float) -> Estimate:
    half = float(stats.norm.isf((1 - confidence) / 2)) * belief.sd
    return Estimate(belief.mean, belief.mean - half, belief.mean + half, confidence)


def _alone(pilots: Sequence[Pilot], question: Question) -> ScalingLaw | None:
    """The law of the pilots without a prior; None where they show none."""
    every = design([pilot.point for pilot in pilots], [], question.beliefs)
    if FULL in every.names and FIXED in every.names:
        return None
    by = tuple(ONLY if name in (FULL, FIXED) else name for name in every.names)
    if ONLY not in by:
        return None
    rows = [({**_factors(pilot.point), "time": pilot.time(question.timescale)}) for pilot in pilots]
    try:
        law = fit_scaling(rows, by=by, confidence=question.confidence)
    except InputError:  # factors that cannot be told apart, or times of several confidences
        return None
    return law if law.fitted else None


def _factors(point: Point) -> dict[str, object]:
    return {"n_train": point.n_train, "width": point.width, "lr": point.lr}


def _conflict(law: ScalingLaw, found: Design, beliefs: Mapping[str, Exponent]) -> float:
    """Probability of an exponent as far from the prior: z = (alone - mean) / sqrt(error^2 + sd^2)."""
    name = next((name for name in found.names if name in (ONLY, FULL, FIXED)), None)
    if name is None:
        return math.nan
    place = 1 + list(law.exponents).index(ONLY)
    error2 = float(law.covariance[place, place])
    belief = beliefs[name]
    z = (law.exponents[ONLY].value - belief.mean) / math.sqrt(error2 + belief.sd**2)
    return float(2 * stats.norm.sf(abs(z)))
