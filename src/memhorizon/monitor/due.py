"""What is due at a step: losses, samples or a certificate, as far as the budget pays for them."""

import math

from memhorizon.monitor.choice import best_look, falls, has_learned, is_candidate
from memhorizon.monitor.looks import LookPlan, next_step
from memhorizon.monitor.settings import MonitorSettings
from memhorizon.monitor.state import Memory
from memhorizon.records.monitor import Look


def suspected(memory: Memory) -> bool:
    """Whether the last samples showed a copy."""
    sampled = [look.copies for look in memory.looks if look.copies is not None]
    return bool(sampled) and sampled[-1].count > 0


def samples_due(memory: Memory, plan: LookPlan, step: int) -> bool:
    """Whether samples are to be drawn at a step while the training is learning, and can be paid for."""
    due = step >= memory.next_sample or suspected(memory)
    return due and memory.purse.may_draw(plan.n_samples, suspected=suspected(memory))


def may_look(memory: Memory, plan: LookPlan, step: int) -> bool:
    """Whether a look that is due can be paid for: its losses, or samples where copies are suspected."""
    return memory.purse.may_measure_losses() or (suspected(memory) and samples_due(memory, plan, step))


def samples_wanted(
    memory: Memory, settings: MonitorSettings, look: Look, size: int, *, has_holdout: bool, force: bool
) -> tuple[int, bool]:
    """How many samples are drawn, and whether the look is certified.

    Args:
        memory: of the monitor.
        settings: of the monitor.
        look: what the losses show.
        size: samples of a certified look.
        has_holdout: whether there are held-out items.
        force: certify, whatever is due and whatever the budget.
    """
    most = settings.most_certificates
    kept = math.ceil(most / 2) if has_holdout and not force else 0  # for the end
    if memory.certificates < most - kept:
        wanted = force or _is_candidate(memory, settings, look, has_holdout=has_holdout)
        if wanted and has_learned(look) and (force or memory.purse.may_certify(size)):
            return size, True
    has_slowed = bool(memory.looks) and (memory.test.crossed or not falls(memory.looks))
    if not (has_slowed or samples_due(memory, settings.plan, look.step)):
        return 0, False
    count = settings.plan.n_samples
    return (count, False) if memory.purse.may_draw(count, suspected=suspected(memory)) else (0, False)


def _is_candidate(memory: Memory, settings: MonitorSettings, look: Look, *, has_holdout: bool) -> bool:
    """Whether it is worth to certify the look."""
    if has_holdout and math.isnan(look.holdout_loss):
        return False
    best = best_look(memory.looks, settings.target)
    return is_candidate(
        look.holdout_loss,
        memory.looks,
        best=best,
        step=look.step,
        phase_is_copying=memory.test.crossed,
    )


def ratio_after(look: Look, plan: LookPlan) -> float:
    """How far away the next look is: nearer where copies were seen, or the loss has not come down."""
    has_copies = look.copies is not None and look.copies.count > 0
    return math.sqrt(plan.ratio) if has_copies or look.rise > 0 else plan.ratio


def steps_to_wait(step: int, plan: LookPlan) -> int:
    """How many steps of training pay for the next look, at most up to the next look of the plan."""
    return max(1, next_step(step, math.sqrt(plan.ratio)) - step)
