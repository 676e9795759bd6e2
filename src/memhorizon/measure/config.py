"""What is measured at every snapshot of a training, and at which steps snapshots are taken."""

from dataclasses import dataclass

import numpy as np

from memhorizon.checks import LARGEST, check_flag, check_number, check_tuple, check_whole
from memhorizon.errors import InputError
from memhorizon.samplers import SamplerConfig


@dataclass(frozen=True)
class MeasureConfig:
    """What is measured at every snapshot, and when snapshots are taken.

    With the defaults all this takes about a tenth of the time of 10,000 updates (benchmarks/measuring.py). A
    memorized fraction of 0.1 then has a 95 % interval of +- 0.02. Other samplers need more steps to count
    copies right, although their samples are as good in fewer (benchmarks/solvers.py). More repeats make the
    standard error of the losses smaller, until it is that of the items.

    Attributes:
        snapshots: how many, spaced evenly in the logarithm of the step.
        first: step of the first snapshot.
        n_samples: samples generated at each snapshot for f_mem and quality.
        sampler: how they are generated.
        threshold: a sample is a copy where d1 / d2 is below.
        diffusion_times: diffusion times at which the losses are measured.
        repeats: fixed noises per item in the losses.
        n_train_loss: at most this many training items enter the losses.
        keep: whether snapshots stay on disk, to be measured again later.
    """

    snapshots: int = 20
    first: int = 50
    n_samples: int = 1000
    sampler: SamplerConfig = SamplerConfig("dpm++", 16)
    threshold: float = 1 / 3
    diffusion_times: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0)
    repeats: int = 2
    n_train_loss: int = 2048
    keep: bool = True

    def __post_init__(self) -> None:
        for name in ("snapshots", "first", "repeats", "n_train_loss"):
            check_whole(name, getattr(self, name), least=1, most=LARGEST - 1)
        check_whole("n_samples", self.n_samples, least=0, most=LARGEST - 1)
        if not isinstance(self.sampler, SamplerConfig):
            raise InputError(f"sampler: expected a SamplerConfig, got {self.sampler!r}")
        check_number("threshold", self.threshold, above=0, below=1)
        check_flag("keep", self.keep)
        self._check_times()

    def _check_times(self) -> None:
        """Refuse what are no diffusion times, and times whose curves would have the same name."""
        check_tuple("diffusion_times", self.diffusion_times)
        for t in self.diffusion_times:
            check_number("diffusion_times", t, above=0)
        self._check_time_names()

    def _check_time_names(self) -> None:
        names = [time_name(t) for t in self.diffusion_times]
        if not names or len(set(names)) < len(names):
            wanted = "at least one diffusion time, none of them twice (to six digits)"
            raise InputError(f"diffusion_times: expected {wanted}, got {self.diffusion_times}")

    def marks(self, n_updates: int) -> list[int]:
        """Give the steps of the snapshots of a training of so many updates."""
        return snapshot_steps(self.first, n_updates, self.snapshots)


def time_name(t: float) -> str:
    """A diffusion time as the names of curves have it."""
    return f"{float(t):g}"


def snapshot_steps(first: int, last: int, count: int) -> list[int]:
    """Steps from `first` to `last`, evenly spaced in the logarithm; fewer where they would coincide.

    Raises:
        InputError: if `last` is below 1.

    >>> snapshot_steps(10, 1000, 5), snapshot_steps(10, 3, 5)
    ([10, 32, 100, 316, 1000], [3])
    """
    check_whole("n_updates", last, least=1)
    return sorted({round(step) for step in np.geomspace(min(first, last), last, count)} | {last})
