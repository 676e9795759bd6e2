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


def samples_wanted(memory: Memory, plan: LookPlan, look: Look) -> int:
    """How many samples are drawn at a look that is not certified."""
    has_slowed = bool(memory.looks) and (memory.test.crossed or not falls(memory.looks))
    if not (has_slowed or samples_due(memory, plan, look.step)):
        return 0
    return plan.n_samples if memory.purse.may_draw(plan.n_samples, suspected=suspected(memory)) else 0


def may_certify(memory: Memory, settings: MonitorSettings, look: Look) -> bool:
    """Whether a look can be certified: a certificate is left, and the network has learned something."""
    return memory.certificates < settings.most_certificates and has_learned(look)


def certificate_due(
    memory: Memory, settings: MonitorSettings, look: Look, size: int, *, has_holdout: bool
) -> bool:
    """Whether a look is worth a certificate that can be paid for.

    Args:
        memory: of the monitor.
        settings: of the monitor.
        look: what the losses show.
        size: samples of a certified look.
        has_holdout: whether there are held-out items; then half of the certificates are kept for the end.
    """
    kept = math.ceil(settings.most_certificates / 2) if has_holdout else 0
    if memory.certificates >= settings.most_certificates - kept or not has_learned(look):
        return False
    is_worth_it = _is_candidate(memory, settings, look, has_holdout=has_holdout)
    return is_worth_it and memory.purse.may_certify(size)


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
