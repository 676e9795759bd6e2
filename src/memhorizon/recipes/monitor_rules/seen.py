"""What was seen of one training: its snapshots, what the monitors said, and the truth there."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """What the rules look at, and the truth, at one step.

    Attributes:
        step: updates done.
        train: loss of training items on fixed noise.
        holdout: loss of the held-out items that the rules see.
        gap: held-out minus training loss, as a share of the held-out loss.
        gap_error: its standard error.
        test: loss of test items that no rule sees.
        stable_rank: of the weights.
        frechet: Frechet distance of the samples to the training items.
        copies: of the samples.
        total: samples.
    """

    step: int
    train: float
    holdout: float
    gap: float
    gap_error: float
    test: float
    stable_rank: float
    frechet: float
    copies: int
    total: int

    @property
    def holdout_loss(self) -> float:
        """As the rules call it."""
        return self.holdout


@dataclass(frozen=True)
class Checked:
    """The truth at a step that a monitor stopped at or chose, from many fresh samples.

    Attributes:
        step: updates done.
        copies: of the samples.
        total: samples.
        test: loss of test items.
    """

    step: int
    copies: int
    total: int
    test: float


@dataclass(frozen=True)
class Watched:
    """What one monitor said.

    Attributes:
        budget: that it had.
        stopped: whether it said stop at all.
        reason: why.
        stop: the truth there; at the end where it did not.
        best: the truth at its best checkpoint; None where it had none.
        upper: limit of its certificate; 1 where it had none.
        looks: that it took.
        with_samples: of these with samples.
        certificates: certified looks.
        overhead: its time over that of the training until the stop, with the certificate of `finish`.
        overhead_at_stop: the same without that.
        failures: what failed.
    """

    budget: float
    stopped: bool
    reason: str
    stop: Checked
    best: Checked | None
    upper: float
    looks: int
    with_samples: int
    certificates: int
    overhead: float
    overhead_at_stop: float
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One training and all that was seen of it.

    Attributes:
        snapshots: along the training.
        dvar: step at which the variance of the loss on fixed inputs settled; -1 for never.
        null: share of copies that the test allows for among honest samples.
        watched: by the monitors, one for each budget.
        train_seconds: of the training alone.
    """

    snapshots: tuple[Snapshot, ...]
    dvar: int
    null: float
    watched: tuple[Watched, ...]
    train_seconds: float
