"""tau_mem of a run from the part before it: the loss gap opens in a fixed order, long before copies appear.

The relative gap (held-out minus training loss, over the training loss) at t = 0.1 passes some levels at
steps that lie a nearly constant factor before tau_mem, over networks, optimizers, batch sizes and data
(recipe in_progress). The highest level that was passed for good gives the forecast; that the run has not
copied yet cuts its lower part off.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from memhorizon.results import Curve, Estimate

T = "0.1"  # the diffusion time of the losses, as curves are named
SWEEPS = 15  # that the factors were measured on
LEAST_READINGS = 3
CONTRADICTED = 1e-4  # probability to copy later still, below which a run is unlike those that were measured


@dataclass(frozen=True)
class Lead:
    """How long before tau_mem the relative gap passes a level.

    Attributes:
        level: of the relative gap.
        log_factor: mean of log(tau_mem / step).
        sd: its standard deviation over runs of other sweeps.
    """

    level: float
    log_factor: float
    sd: float


# As results/in_progress.json has them; a test holds them to it.
LEADS = (
    Lead(0.1, 2.420, 0.587),
    Lead(0.2, 1.880, 0.379),
    Lead(0.4, 1.451, 0.301),
    Lead(0.8, 1.070, 0.253),
    Lead(1.5, 0.701, 0.201),
)


def relative_gap(curves: Mapping[str, Curve], until: float = math.inf) -> Curve | None:
    """Held-out minus training loss over the training loss up to a step; None without enough readings."""
    gap = curves.get(f"gap@{T}")
    train = curves.get(f"train@{T}")
    if gap is None or train is None or not np.array_equal(gap.step, train.step):
        return None
    seen = (gap.step <= until) & (train.value > 0)
    if np.sum(seen) < LEAST_READINGS:
        return None
    share = gap.value[seen] / train.value[seen]
    return Curve(gap.step[seen], share, share, share, "relative gap")


def passing_step(gap: Curve, level: float) -> float | None:
    """When a curve passes a level for good, interpolated in log step; None where it did not, or at first."""
    below = np.flatnonzero(gap.value <= level)
    if len(below) == 0 or below[-1] + 1 >= len(gap.value):
        return None
    i = int(below[-1])
    x = np.log(gap.step[i : i + 2])
    share = (level - gap.value[i]) / (gap.value[i + 1] - gap.value[i])
    return float(np.exp(x[0] + share * (x[1] - x[0])))


def expected_time(
    gap: Curve, *, now: float, confidence: float = 0.9, leads: Sequence[Lead] = LEADS
) -> Estimate | None:
    """tau_mem with the interval of one run that has not copied yet, from its losses.

    Args:
        gap: the relative gap so far.
        now: the last step at which it had not copied.
        confidence: nominal coverage.
        leads: the levels and their factors.

    Returns:
        The median and the interval in steps; None where the gap has passed none of the levels, or so long
        ago that the run contradicts what was found of others.
    """
    passed = [(lead, step) for lead in leads if (step := passing_step(gap, lead.level)) is not None]
    if not passed:
        return None
    lead, step = max(passed, key=lambda pair: pair[0].level)
    tail = (1 - confidence) / 2
    found = _later(lead, step, now, np.array([0.5, tail, 1 - tail]))
    if found is None:
        return None
    middle, low, high = found
    return Estimate(middle, low, high, confidence)


def _later(lead: Lead, step: float, now: float, shares: Float[np.ndarray, " s"]) -> list[float] | None:
    """Quantiles of tau_mem given that it is later than now, where S(t) = (1 - share) S(now); S = 1 - F.

    None where the run should have copied long before.
    """
    scale = lead.sd * math.sqrt(1 + 1 / SWEEPS)
    law = stats.t(SWEEPS - 1, loc=math.log(step) + lead.log_factor, scale=scale)
    later = float(law.sf(math.log(now)))
    if later < CONTRADICTED:
        return None
    return np.exp(law.isf((1 - shares) * later)).tolist()
