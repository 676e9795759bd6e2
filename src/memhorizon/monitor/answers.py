"""What a monitor answers, from what it remembers: the best checkpoint, and the numbers of a look by name."""

import math
from pathlib import Path

from memhorizon.monitor.choice import best_look
from memhorizon.monitor.keeping import BEST, is_of
from memhorizon.monitor.settings import MonitorSettings
from memhorizon.monitor.state import Memory
from memhorizon.records.monitor import Best, Certificate, Look, Phase, Stop


def best_of(memory: Memory, settings: MonitorSettings, threshold: float, root: Path | None) -> Best | None:
    """The checkpoint that is worth shipping, with its certificate; None where none has one.

    Args:
        memory: of the monitor.
        settings: of the monitor.
        threshold: of d1/d2, below which a sample counts as a copy.
        root: folder of the weights; None where none are kept.
    """
    look = best_look(memory.looks, settings.target)
    if look is None or look.copies is None:
        return None
    certificate = Certificate(
        look.step, look.copies, look.upper, settings.confidence, settings.candidates, threshold
    )
    if root is None:
        return Best(look.step, look.holdout_loss, look.copies, certificate)
    is_kept = memory.kept == look.step and is_of(root / BEST, look)
    path = str(root / BEST) if is_kept else ""
    why = "another checkpoint lies there" if memory.kept == look.step else "the failures say why"
    note = "" if is_kept else f"Its weights could not be kept: {why}."
    return Best(look.step, look.holdout_loss, look.copies, certificate, path, note)


def overhead_of(memory: Memory) -> float:
    """Time of the monitor as a share of the time of training; NaN before the first look."""
    purse = memory.purse
    return purse.spent / purse.train_seconds if purse.train_seconds else math.nan


def tags_of(look: Look, memory: Memory) -> dict[str, float]:
    """The numbers of a look under flat names; those that are not known are left out."""
    numbers = {
        "loss_gap": look.gap,
        "holdout_loss": look.holdout_loss,
        "train_loss": look.train_loss,
        "stable_rank": look.stable_rank,
        "log_e": look.log_e,
        "copied_upper": look.upper,
        "overhead": overhead_of(memory),
        "should_stop": float(look.stop is not Stop.NO),
        "phase": float(list(Phase).index(look.phase)),
    }
    if look.copies is not None:
        numbers["copied_fraction"] = look.copies.value
    for level in look.losses:
        numbers[f"loss_quantile_{level.quantile:.2f}"] = level.holdout
        numbers[f"train_loss_quantile_{level.quantile:.2f}"] = level.train
    return {f"memhorizon/{name}": value for name, value in numbers.items() if not math.isnan(value)}
