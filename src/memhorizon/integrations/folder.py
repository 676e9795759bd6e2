"""A training that cannot be touched, watched from its folder of checkpoints, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

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

    One network is in memory at a time. The last one gets a certificate where no other has one.

    Args:
        monitor: made with `budget=None` and `plan=every_checkpoint()`.
        checkpoints: as `find_checkpoints` finds them.
        device: of the networks; None for the CPU.

    Yields:
        Each checkpoint after it was looked at, or with the reason why it cannot be used.
    """
    seen = monitor.history[-1].step if monitor.history else 0
    ahead = [one for one in checkpoints.found if one.step > seen]
    for one in ahead:
        try:
            network = one.network().to(device or torch.device("cpu"))
            denoiser = one.denoiser(network)
        except InputError as error:
            yield Seen(one, Skipped(one.name, str(error)))
            continue
        failures = len(monitor.record().failures)
        is_last_chance = one is ahead[-1] and monitor.best is None
        look = monitor.certify if is_last_chance else monitor.update
        verdict = look(one.step, denoiser)
        yield Seen(one) if verdict is not None else Seen(one, _failed(one, monitor, failures))


def _failed(one: Checkpoint, monitor: Monitor, before: int) -> Skipped:
    """Why a checkpoint was not looked at, as the monitor tells."""
    told = monitor.record().failures[before:]
    return Skipped(one.name, told[-1] if told else "no look was due")
