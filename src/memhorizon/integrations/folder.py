"""A training that cannot be touched, watched from its folder of checkpoints, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from memhorizon.denoiser import Denoiser
from memhorizon.errors import InputError
from memhorizon.files.folders import Skipped
from memhorizon.integrations.checkpoints import Checkpoint, Checkpoints
from memhorizon.monitor.looks import LookPlan
from memhorizon.monitor.monitor import Monitor

CLOSE = 1 + 1e-9  # ratio of the steps of two looks: every checkpoint is looked at


def every_checkpoint(n_samples: int = 64) -> LookPlan:
    """The plan of a monitor that looks at every checkpoint that it is given.

    Args:
        n_samples: of a look that is not certified.
    """
    return LookPlan(first=1, ratio=CLOSE, sample_ratio=CLOSE, n_samples=n_samples)


@dataclass(frozen=True)
class Seen:
    """What became of one checkpoint.

    Attributes:
        checkpoint: that was looked at.
        skipped: why it was not; None where it was.
    """

    checkpoint: Checkpoint
    skipped: Skipped | None = None


def watch_checkpoints(
    monitor: Monitor, checkpoints: Checkpoints, *, device: torch.device | None = None
) -> Iterator[Seen]:
    """Look at the checkpoints that a monitor has not seen yet, in the order of their steps.

    One network is in memory at a time. At the end the best checkpoint is certified if it is not yet.

    Args:
        monitor: made with `budget=None` and `plan=every_checkpoint()`.
        checkpoints: as `find_checkpoints` finds them.
        device: of the networks; None for the CPU.

    Yields:
        Each checkpoint after it was looked at, or with the reason why it cannot be used.
    """
    seen = monitor.history[-1].step if monitor.history else 0
    denoiser = None
    for one in checkpoints.found:
        if one.step <= seen and one is not checkpoints.found[-1]:
            continue
        try:
            network = one.network().to(device or torch.device("cpu"))
            denoiser = one.denoiser(network)
        except InputError as error:
            yield Seen(one, Skipped(one.name, str(error)))
            continue
        if one.step > seen:
            yield _look(monitor, one, denoiser)
    if denoiser is not None:  # into whose network the weights of the best checkpoint are put
        monitor.finish(denoiser)


def _look(monitor: Monitor, one: Checkpoint, denoiser: Denoiser) -> Seen:
    """Look at a checkpoint; why it could not be done, if it could not."""
    failures = len(monitor.record().failures)
    if monitor.update(one.step, denoiser) is not None:
        return Seen(one)
    told = monitor.record().failures[failures:]
    return Seen(one, Skipped(one.name, told[-1] if told else "no look was due"))
