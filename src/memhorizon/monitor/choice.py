"""Which checkpoint is worth shipping, and whether a look is a candidate for it.

Quality is the held-out denoising loss, averaged over nine noise quantiles on fixed noise. It is paired over
items and noise, so differences of one or two per cent are seen with a hundred items; it needs no samples; and
it does not reward copies. A Frechet distance to the training images rewards copies; one to held-out images
from a few hundred samples has an error larger than the differences that matter. It is reported, not used.

The best checkpoint is the one with the best quality among the certified looks whose upper limit is below the
target. Without held-out items there is no quality: then it is the latest of these.
"""

import math
from collections.abc import Sequence

from memhorizon.records.monitor import Look

NEAR = 0.03  # rise over the best held-out loss so far up to which a look is a candidate
GAIN = 0.02  # fall of the held-out loss below that of the best certified look that is worth another look
LEARNED = 0.001  # share by which a loss has to be below that of a constant output: white data leave little
BACK = 1.35  # a fall is read over at least this factor in steps
SLOW = 0.05  # fall of the held-out loss per 20 % of steps below which learning has slowed


def has_learned(look: Look) -> bool:
    """Whether the network of a look is better than a constant output, by 0.1 % of its loss, on any items.

    One that is so on training items alone has learned these. Not where it puts out what is not finite. Where
    no losses were measured nothing speaks against it.
    """
    return generalizes(look) or look.train_loss <= (1 - LEARNED) * look.trivial_train_loss


def generalizes(look: Look) -> bool:
    """Whether it is so on held-out items; on training items where there are no others."""
    if math.isnan(look.trivial_loss):
        return True
    loss = look.train_loss if math.isnan(look.holdout_loss) else look.holdout_loss
    return loss <= (1 - LEARNED) * look.trivial_loss


def with_holdout_loss(looks: Sequence[Look]) -> list[Look]:
    """Give those of the looks whose held-out loss is known."""
    return [look for look in looks if not math.isnan(look.holdout_loss)]


def best_look(looks: Sequence[Look], target: float) -> Look | None:
    """Give the look whose checkpoint is the best; None where no certified look is below the target."""
    fine = [look for look in looks if look.certified and look.upper <= target]
    known = with_holdout_loss(fine)
    if known:
        return min(known, key=lambda look: (look.holdout_loss, look.step))
    return fine[-1] if fine else None


def is_candidate(
    loss: float, earlier: Sequence[Look], *, best: Look | None, step: int, phase_is_copying: bool
) -> bool:
    """Whether it is worth to certify a look, whose held-out loss is `loss`.

    It is where the loss is near its best so far, has slowed in coming down, and is clearly below that of the
    best certified checkpoint. Without held-out items every look is that is twice as far as the last one.

    Args:
        loss: held-out loss of this look; NaN without held-out items.
        earlier: looks before.
        best: the best certified look so far.
        step: of this look.
        phase_is_copying: whether copies were proven; then no later checkpoint is a candidate.
    """
    if phase_is_copying:
        return False
    if math.isnan(loss):
        return best is None or step >= 2 * best.step
    known = with_holdout_loss(earlier)
    if not known:
        return False
    lowest = min(look.holdout_loss for look in known)
    is_near = loss <= (1 + NEAR) * lowest
    is_gain = best is None or loss <= (1 - GAIN) * best.holdout_loss
    return is_near and is_gain and fall_rate(loss, step, known[-1]) <= SLOW


def falls(looks: Sequence[Look]) -> bool:
    """Whether the held-out loss falls by more than 5 % per fifth of the steps, over a third of them at least.

    Elsewhere it has slowed, and every look draws samples, if that can be paid for.
    """
    known = with_holdout_loss(looks)
    if len(known) <= 1:
        return False
    now = known[-1]
    early = [look for look in known[:-1] if now.step >= BACK * look.step]
    return fall_rate(now.holdout_loss, now.step, early[-1] if early else known[0]) > SLOW


def fall_rate(loss: float, step: int, before: Look) -> float:
    """Give the share by which the loss falls while the steps grow by a fifth.

    Between two looks the loss is taken to go as a power of the step: log(loss) = -b log(step) + c, and the
    fall is 1 - 1.2^-b.
    """
    if not (loss > 0 and before.holdout_loss > 0 and step > before.step > 0):
        return 0.0
    b = math.log(before.holdout_loss / loss) / math.log(step / before.step)
    return 1 - 1.2**-b


def latest_sampled(looks: Sequence[Look]) -> Look | None:
    """The latest look with samples."""
    return next((look for look in reversed(looks) if look.copies is not None), None)
