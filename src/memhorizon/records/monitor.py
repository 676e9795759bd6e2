"""What a monitor saw of one training, as one typed value: its looks, its verdict, the best checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from memhorizon.errors import InputError
from memhorizon.records.plain import Plain
from memhorizon.results import Fraction, Worded

PROTOCOL = 2  # of the monitor: what a look measures and how a verdict follows


def percent(share: float) -> str:
    """A share in per cent, to two figures.

    >>> [percent(share) for share in (0.00998, 0.0457, 0.997)]
    ['1 %', '4.6 %', '100 %']
    """
    return "100 %" if share >= 0.995 else f"{100 * share:.2g} %"


class Phase(Worded):
    """Where a training is; each member carries the sentence on what to do (`advice`)."""

    LEARNING = "learning", "Go on: the held-out loss is still coming down, and no copies were seen."
    WINDOW = "window", "Ship the best checkpoint: it has learned, and no copies were seen."
    MEMORIZING = "memorizing", "Stop, and ship the best checkpoint: the network copies its training set."
    CANNOT_TELL = (
        "cannot tell",
        "Wait for more looks, or give held-out images: the reason says what is missing.",
    )

    @property
    def advice(self) -> str:
        """What to do."""
        return self.sentence


class Stop(Worded):
    """Why a training should stop; each member carries the reason in words (`sentence`)."""

    NO = "no", ""
    COPIES = "copies", "The share of copies exceeds the target, at the confidence that was asked for."
    PASSED = "past the best", "The best checkpoint lies behind: the held-out loss no longer falls."


@dataclass(frozen=True)
class LevelLoss:
    """Denoising losses at one noise level, on fixed noise.

    Attributes:
        quantile: of the noise levels of the schedule, 0 the cleanest and 1 the noisiest.
        index: position of the level in the schedule.
        train: loss of the training items that are looked at.
        holdout: loss of the held-out items; NaN without them.
        gap: held-out minus training loss; NaN without held-out items.
        gap_error: its standard error; NaN without held-out items.
    """

    quantile: float
    index: int
    train: float
    holdout: float = math.nan
    gap: float = math.nan
    gap_error: float = math.nan


@dataclass(frozen=True)
class Look:
    """What was seen at one step of the training: one row of the history.

    Attributes:
        step: of the training.
        phase: the verdict after this look.
        stop: whether the training should stop after this look, and why.
        losses: at nine noise quantiles; empty where they were not measured.
        train_loss: mean over the levels, on fixed training items and noise; NaN where not measured.
        holdout_loss: mean over the levels, on fixed held-out items and noise: the quality of the checkpoint,
            smaller is better; NaN without held-out items.
        rise: of the held-out loss over its smallest mean so far, as a share of that; NaN where unknown.
        rise_error: standard error of `rise`, paired over items and noise.
        gap: held-out minus training loss, mean over the levels, as a share of the held-out loss.
        gap_error: its standard error.
        stable_rank: of the weights, mean over the matrices; NaN where not measured.
        copies: share of the samples that are copies, with its two-sided interval; None where none were drawn.
        upper: one-sided upper limit of the share of copies, at the level of this look: alpha/K where the look
            was certified, alpha elsewhere; NaN where none were drawn.
        certified: whether the look was one of the K that a certificate may come from.
        log_e: natural logarithm of the e-process after this look; the stop is at log(1/alpha).
        frechet: Frechet distance of the samples to the held-out items, in main directions of the training
            set; NaN where too few samples were drawn.
        train_seconds: time of training since the monitor began.
        monitor_seconds: time of the monitor since then.
        sheet: file of the contact sheet within the folder of the monitor; empty where there is none.
        note: what failed or was left out; empty where nothing was.
        trivial_loss: loss of the best constant output on the same items and noise, held-out ones where there
            are any: a network that has learned something is below it; NaN where not measured.
        trivial_train_loss: loss of the best constant output on the training items; NaN where not measured.
    """

    step: int
    phase: Phase
    stop: Stop = Stop.NO
    losses: tuple[LevelLoss, ...] = ()
    train_loss: float = math.nan
    holdout_loss: float = math.nan
    rise: float = math.nan
    rise_error: float = math.nan
    gap: float = math.nan
    gap_error: float = math.nan
    stable_rank: float = math.nan
    copies: Fraction | None = None
    upper: float = math.nan
    certified: bool = False
    log_e: float = 0.0
    frechet: float = math.nan
    train_seconds: float = 0.0
    monitor_seconds: float = 0.0
    sheet: str = ""
    note: str = ""
    trivial_loss: float = math.nan
    trivial_train_loss: float = math.nan

    def __post_init__(self) -> None:
        if self.step < 0:
            raise InputError(f"step: expected at least 0, got {self.step}")


@dataclass(frozen=True)
class Verdict:
    """Where the training is, why, and the numbers that this rests on.

    Attributes:
        phase: learning, window, memorizing or cannot tell.
        step: of the look that it follows from.
        reason: in a sentence or two.
        stop: whether the training should stop, and why.
        evidence: the numbers by name.
    """

    phase: Phase
    step: int
    reason: str
    stop: Stop = Stop.NO
    evidence: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_past(self) -> bool:
        """Whether the best checkpoint lies behind, and copies are not proven."""
        return self.stop is Stop.PASSED and self.phase is not Phase.MEMORIZING

    def __str__(self) -> str:
        past = f", {self.stop}" if self.is_past else ""
        return f"{self.phase}{past} (step {self.step:,}): {self.reason}"


@dataclass(frozen=True)
class Certificate:
    """An upper limit of the share of copies that one checkpoint makes.

    Attributes:
        step: of the checkpoint.
        copies: copies among the samples of the certified look, with the two-sided interval.
        upper: one-sided upper limit.
        confidence: that all `candidates` limits hold together.
        candidates: limits that it may have been chosen among, K; each has the level (1 - confidence)/K.
        threshold: of d1/d2, below which a sample counts as a copy.
    """

    step: int
    copies: Fraction
    upper: float
    confidence: float
    candidates: int
    threshold: float

    def __str__(self) -> str:
        seen = f"{self.copies.count} of {self.copies.total:,}"
        limit = f"at most {percent(self.upper)} of its samples are copies"
        return f"step {self.step:,}: {limit} ({seen} seen; confidence {100 * self.confidence:g} %)"


@dataclass(frozen=True)
class Best:
    """The checkpoint that is worth shipping.

    Attributes:
        step: of the checkpoint.
        quality: its held-out loss; NaN without held-out items, where the latest certified one is chosen.
        copies: share of its samples that are copies.
        certificate: that goes with it.
        path: of the weights that were kept; empty where none were.
        note: that they should have been kept and are not, in words; empty elsewhere.
    """

    step: int
    quality: float
    copies: Fraction
    certificate: Certificate
    path: str = ""
    note: str = ""


@dataclass(frozen=True)
class CopyRule:
    """What counts as a copy, and how often honest items would.

    Attributes:
        threshold: of d1/d2, below which a sample counts as a copy.
        null: honest items that would count: training items, each left out with its duplicates, and held-out
            items.
        allowed: share of honest samples that the test for the stop allows for.
        dimension: intrinsic dimension of the training set, of which `allowed` is a part; NaN where unknown.
        duplicates: training items that are duplicates of another one.
        rule: in words.
    """

    threshold: float
    null: Fraction
    allowed: float
    dimension: float
    duplicates: int
    rule: str


@dataclass(frozen=True)
class SheetRow:
    """One sample of a contact sheet and the training item nearest to it.

    Attributes:
        seed: of the sample.
        ratio: d1/d2 of it.
        nearest: position of the training item.
        is_copy: whether it counts as a copy.
    """

    seed: int
    ratio: float
    nearest: int
    is_copy: bool


@dataclass(frozen=True)
class Sheet:
    """The contact sheet of one look: the samples with the smallest ratios first.

    Attributes:
        step: of the look.
        rows: one for each sample that is shown.
        picture: file of the picture within the folder of the monitor; empty where items are no pictures.
        arrays: file of `samples` and `nearest`, [k, *item], likewise; empty where no folder is given.
    """

    step: int
    rows: tuple[SheetRow, ...]
    picture: str = ""
    arrays: str = ""


@dataclass(frozen=True, repr=False)
class MonitorRecord:
    """What a monitor saw of one training.

    Attributes:
        looks: one row for each step that was looked at, in order.
        verdict: after the last look.
        best: the checkpoint that is worth shipping; None where none has a certificate below the target.
        rule: what counts as a copy.
        target: largest share of copies that is fine.
        confidence: of the stop and of the certificate.
        budget: largest share of the training time that the monitor may take; None for no limit.
        n_train: training items.
        n_holdout: held-out items; 0 where all were trained on.
        shared: held-out items that were left out because they are in the training set.
        item_shape: of an item.
        sampler: method and number of steps that samples were drawn with.
        certificates: looks that were certified so far.
        most_certificates: that may be.
        train_seconds: time of training since the monitor began.
        monitor_seconds: time of the monitor since then.
        sheets: contact sheets.
        failures: what failed, in words, at most the last 20.
        seed: of everything that was drawn.
        protocol: version of the procedure.
        name: of the training.
        command: that made it.
        environment: versions, system and machine.
    """

    looks: tuple[Look, ...]
    verdict: Verdict
    best: Best | None
    rule: CopyRule
    target: float
    confidence: float
    budget: float | None
    n_train: int
    n_holdout: int
    shared: int
    item_shape: tuple[int, ...]
    sampler: str
    certificates: int
    most_certificates: int
    train_seconds: float
    monitor_seconds: float
    sheets: tuple[Sheet, ...] = ()
    failures: tuple[str, ...] = ()
    seed: int = 0
    protocol: int = PROTOCOL
    name: str = ""
    command: str = ""
    environment: Mapping[str, Plain] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0 < self.target < 1 and 0 < self.confidence < 1):
            raise InputError(
                f"target, confidence: expected shares between 0 and 1, got {self.target}, {self.confidence}"
            )
        steps = [look.step for look in self.looks]
        if steps != sorted(steps):
            raise InputError("looks: expected steps in order, got others")

    @property
    def overhead(self) -> float:
        """Time of the monitor as a share of the time of training."""
        return self.monitor_seconds / self.train_seconds if self.train_seconds else math.nan

    def __repr__(self) -> str:
        """The answer in a line."""
        best = "none" if self.best is None else f"{self.best.step:,}"
        return f"MonitorRecord({self.verdict.phase}, {len(self.looks)} looks, best step {best})"
