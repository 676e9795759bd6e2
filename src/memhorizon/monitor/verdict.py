"""From looks to a verdict: pure functions of the history."""

import math
from collections.abc import Sequence

from scipy import stats

from memhorizon.monitor.choice import SLOW, fall_rate
from memhorizon.records.monitor import Look, Phase, Stop, Verdict

RISE = 0.02  # of the held-out loss over its minimum that counts as one
ERRORS = 2.0  # standard errors that it has to exceed
LOOKS = 2  # in a row without a fall of the loss, after which signs of copies end the training
GAP = 0.5  # of the held-out loss: the gap that is such a sign
LEVEL = 0.05  # at which copies are seen to be more than the null
BACK = 1.35  # the fall of the loss is read over at least this factor in steps


def stop_of(looks: Sequence[Look], *, crossed: bool, null: float = 0.0) -> Stop:
    """Whether a training should stop after these looks, and why.

    It should where copies are proven (the e-process has crossed), or where the best checkpoint lies behind.
    That is so in either of these cases:

    1. The held-out loss is above its minimum, by 2 % and by two standard errors, while the training loss is
       below what it was at that minimum. (Where both have risen the training is unstable, not over.)
    2. The held-out loss was not below its minimum at two looks in a row, and training images are denoised
       with less than half of the loss of others, or more samples are copies than the null explains, at a
       level of 5 %: nothing is gained any more, and copies begin.

    Args:
        looks: so far, in order.
        crossed: whether the e-process has crossed its limit.
        null: share of honest samples that are called copies.
    """
    if crossed:
        return Stop.COPIES
    known = [look for look in looks if not math.isnan(look.holdout_loss)]
    if len(known) <= LOOKS:
        return Stop.NO
    lowest = min(known, key=lambda look: look.holdout_loss)
    if _has_risen(known[-1], lowest):
        return Stop.PASSED
    rests = all(look.step > lowest.step for look in known[-LOOKS:])
    is_late = known[-1].gap >= GAP or _copies_begin(looks, null)
    return Stop.PASSED if rests and is_late else Stop.NO


def _has_risen(look: Look, lowest: Look) -> bool:
    is_above = look.rise >= RISE and look.rise >= ERRORS * look.rise_error
    return is_above and look.step > lowest.step and look.train_loss < lowest.train_loss


def _copies_begin(looks: Sequence[Look], null: float) -> bool:
    """Whether the latest samples hold more copies than the null explains."""
    look = _sampled(looks)
    if look is None or look.copies is None or not look.copies.count:
        return False
    # P(X >= count) for X binomial with the null
    return float(stats.binom.sf(look.copies.count - 1, look.copies.total, null)) <= LEVEL


def verdict_of(looks: Sequence[Look], *, target: float, crossed: bool, null: float = 0.0) -> Verdict:
    """Say where the training is after these looks.

    Args:
        looks: so far, in order; of the last one `phase` and `stop` are not looked at.
        target: largest share of copies that is fine.
        crossed: whether the e-process has crossed its limit.
        null: share of honest samples that are called copies.
    """
    if not looks:
        return Verdict(Phase.CANNOT_TELL, 0, "There was no look yet.")
    now = looks[-1]
    stop = stop_of(looks, crossed=crossed, null=null)
    phase, reason = _phase(looks, target, crossed)
    if stop is Stop.PASSED:
        reason += f" {stop.sentence}"
    return Verdict(phase, now.step, reason, stop, evidence_of(looks))


def evidence_of(looks: Sequence[Look]) -> dict[str, float]:
    """The numbers that a verdict rests on, by name; those that are not known are left out."""
    now = looks[-1]
    numbers = {
        "holdout_loss": now.holdout_loss,
        "train_loss": now.train_loss,
        "rise": now.rise,
        "rise_error": now.rise_error,
        "gap": now.gap,
        "gap_error": now.gap_error,
        "log_e": now.log_e,
    }
    sampled = _sampled(looks)
    if sampled is not None and sampled.copies is not None:
        numbers["copies"] = sampled.copies.count
        numbers["samples"] = sampled.copies.total
        numbers["copies_upper"] = sampled.upper
        numbers["copies_step"] = sampled.step
    return {name: float(value) for name, value in numbers.items() if not math.isnan(value)}


def _phase(looks: Sequence[Look], target: float, crossed: bool) -> tuple[Phase, str]:
    if crossed:
        return Phase.MEMORIZING, _copying(looks, target)
    known = [look for look in looks if not math.isnan(look.holdout_loss)]
    if not known:
        return Phase.CANNOT_TELL, f"Without held-out images learning cannot be seen. {_seen(looks)}"
    if len(known) < 2:
        return Phase.CANNOT_TELL, f"One look at the losses is not enough. {_seen(looks)}"
    now = known[-1]
    before = _before(known)
    fall = fall_rate(now.holdout_loss, now.step, before)
    loss = f"The held-out loss is {now.holdout_loss:.4g}"
    if fall > SLOW:
        words = f"{loss}, down from {before.holdout_loss:.4g} at step {before.step:,}."
        return Phase.LEARNING, f"{words} {_seen(looks)}"
    if _sampled(looks) is None:
        return Phase.CANNOT_TELL, f"{loss} and hardly falls any more. {_seen(looks)}"
    change = f"{100 * now.rise:.2g} % above its minimum" if now.rise > 0 else "the lowest so far"
    return Phase.WINDOW, f"{loss}, {change}. {_seen(looks)}"


def _before(known: Sequence[Look]) -> Look:
    """The latest look that is early enough to read a fall from; else the first."""
    now = known[-1]
    early = [look for look in known[:-1] if now.step >= BACK * look.step]
    return early[-1] if early else known[0]


def _sampled(looks: Sequence[Look]) -> Look | None:
    """The latest look with samples."""
    return next((look for look in reversed(looks) if look.copies is not None), None)


def _seen(looks: Sequence[Look]) -> str:
    """What the latest samples showed, in a sentence."""
    look = _sampled(looks)
    if look is None or look.copies is None:
        return "No samples were drawn yet."
    seen = f"{look.copies.count} of {look.copies.total:,} samples at step {look.step:,} are copies"
    return f"{seen} (at most {100 * look.upper:.2g} %)."


def _copying(looks: Sequence[Look], target: float) -> str:
    proof = f"More than {100 * target:g} % of the samples are copies, beyond what honest samples show."
    return f"{proof} {_seen(looks)}"
