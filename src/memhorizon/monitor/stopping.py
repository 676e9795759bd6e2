"""Whether a training should stop after its looks: what the course of its losses and its copies say."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from memhorizon.monitor.choice import latest_sampled, with_holdout_loss
from memhorizon.records.monitor import Look, Stop

RISE = 0.02  # of the held-out loss over its minimum that counts as one
ERRORS = 2.0  # standard errors that it has to exceed
FEWEST = 4  # looks that a course of the loss is read from
SPAN = 2.5  # factor in steps over which it is read
PATIENCE = 1.5  # factor in steps over its minimum after which a loss that does not fall ends the training
SLOWLY = 0.03  # fall of the loss while the steps grow by half, up to which signs of copies end the training
GAP = 0.5  # of the held-out loss: the gap that is such a sign
LEVEL = 0.05  # at which copies are seen to be more than the null
RECENT = 7  # looks that their scatter is read from
SMALLEST = 1e-30  # loss whose logarithm is taken


def stop_of(looks: Sequence[Look], *, crossed: bool, null: float = 0.0) -> Stop:
    """Whether a training should stop after these looks, and why.

    It should where copies are proven (the e-process has crossed), or where the best checkpoint lies behind.
    From the fourth look on, that is so in any of these cases:

    1. The held-out loss is above its minimum, by 2 % and by two standard errors, while the training loss is
       below what it was at that minimum. (Where both have risen the training is unstable, not over.)
    2. Half as many steps have passed again since that minimum, and the loss does not fall.
    3. The loss falls by at most 3 % while the steps grow by half, and training images are denoised with less
       than half of the loss of others, or more samples are copies than the null explains, at a level of 5 %:
       little is gained any more, and copies begin.

    Weights are noisy from step to step where the learning rate does not fall, so one look says little of the
    course of the loss: it is read from a line through all looks within a factor of 2.5 in steps, and the
    standard error of the rise holds the scatter of looks beside that over items.

    Args:
        looks: so far, in order.
        crossed: whether the e-process has crossed its limit.
        null: share of honest samples that are called copies.
    """
    if crossed:
        return Stop.COPIES
    known = [look for look in with_holdout_loss(looks) if math.isfinite(look.holdout_loss)]
    if len(known) < FEWEST:
        return Stop.NO
    lowest = min(known, key=lambda look: look.holdout_loss)
    fall = fall_of(known)
    rests = fall <= 0 and known[-1].step >= PATIENCE * lowest.step
    is_late = fall <= SLOWLY and (known[-1].gap >= GAP or _copies_begin(looks, null))
    return Stop.PASSED if rests or is_late or _has_risen(known, lowest) else Stop.NO


def fall_of(known: Sequence[Look]) -> float:
    """Give the share by which the held-out loss falls while the steps grow by half.

    Where log(loss) = c - b log(step), by least squares over the last looks, the fall is 1 - 1.5^-b. NaN where
    all of these are at one step.

    Args:
        known: looks with a held-out loss, four at least; those within a factor of 2.5 in steps count, and the
            last four.
    """
    recent = [look for look in known if SPAN * look.step >= known[-1].step]
    used = max(recent, known[-FEWEST:], key=len)
    steps = np.log([max(look.step, 1) for look in used])
    losses = np.log([max(look.holdout_loss, SMALLEST) for look in used])
    centred = steps - steps.mean()
    spread = float(centred @ centred)
    if not spread:
        return math.nan
    b = -float(centred @ losses) / spread
    return 1 - 1.5**-b


def scatter_of(known: Sequence[Look]) -> float:
    """Give the standard deviation of the held-out loss from look to look, as a share of it.

    By second differences of x = log(loss), which a steady course leaves alone: where x is a line with
    independent errors of variance s^2,
        E (x_(i-1) - 2 x_i + x_(i+1))^2 = 6 s^2,
    and the last seven looks are used.

    Args:
        known: looks with a held-out loss, three at least.
    """
    x = np.log([max(look.holdout_loss, SMALLEST) for look in known[-RECENT:]])
    bends = x[:-2] - 2 * x[1:-1] + x[2:]
    return math.sqrt(float((bends**2).mean()) / 6)


def _has_risen(known: Sequence[Look], lowest: Look) -> bool:
    look = known[-1]
    # var(rise) = error over items^2 + 2 s^2, of this look and of the lowest
    error = math.hypot(look.rise_error, math.sqrt(2) * scatter_of(known))
    is_above = look.rise >= RISE and look.rise >= ERRORS * error
    return is_above and look.step > lowest.step and look.train_loss < lowest.train_loss


def _copies_begin(looks: Sequence[Look], null: float) -> bool:
    """Whether the latest samples hold more copies than the null explains."""
    look = latest_sampled(looks)
    if look is None or look.copies is None or not look.copies.count:
        return False
    # P(X >= count) for X binomial with the null
    return float(stats.binom.sf(look.copies.count - 1, look.copies.total, null)) <= LEVEL
