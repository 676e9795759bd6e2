"""When to look, and what a look may cost.

Steps of looks are spaced evenly in the logarithm, since both timescales of a training are known to a factor.
What is spent is measured by a timer and kept below a share (the budget) of the training time: of the
planned one where the length of the training is known, of the time so far elsewhere. Three quarters of the
budget are for losses, 15 % are for samples and a tenth for files, and what these leave is for the large looks
that a certificate needs; where copies are suspected samples may take all of it. A look that is due and cannot
be paid for is put off until it can. Losses are measured on as many items as leave twenty looks within their
part of the budget.
"""

import math
from dataclasses import dataclass, replace

from memhorizon.checks import check_number, check_whole

SHARE_OF_LOSSES = 0.75  # of the budget
SHARE_OF_SAMPLES = 0.15
SHARE_OF_FILES = 0.1
WANTED = 20  # looks at the losses that their share is to pay for
ASSUMED = 1500  # updates of a training whose length is not known
FEWEST_ROWS = 24  # training items, and held-out items, that losses are measured on at least
SMOOTHING = 0.5  # weight of the newest cost in the estimate of the next


@dataclass(frozen=True)
class LookPlan:
    """How densely a training is looked at.

    Attributes:
        first: step of the first look.
        ratio: of the steps of two looks.
        sample_ratio: of the steps of two looks that draw samples while the training is learning; from the
            window on every look draws some.
        n_samples: samples of such a look.
        n_probe: training items, and held-out items, that losses are measured on at most.
        n_shown: samples of a contact sheet.
    """

    first: int = 20
    ratio: float = 1.2
    sample_ratio: float = 2.0
    n_samples: int = 64
    n_probe: int = 128
    n_shown: int = 16

    def __post_init__(self) -> None:
        check_whole("first", self.first, least=1)
        check_number("ratio", self.ratio, above=1)
        check_number("sample_ratio", self.sample_ratio, above=1)
        check_whole("n_samples", self.n_samples, least=1)
        check_whole("n_probe", self.n_probe, least=2)
        check_whole("n_shown", self.n_shown, least=0)


def next_step(step: int, ratio: float) -> int:
    """Give the step of the next look.

    >>> [next_step(20, 1.2), next_step(2, 1.2)]
    [24, 3]
    """
    return max(step + 1, math.ceil(step * ratio))


def rows_paid_for(most: int, seconds: float, step_seconds: float, budget: float, n_updates: int) -> int:
    """Give how many items the losses may be measured on.

    As many as leave 20 looks within the share of the losses, share * budget * n_updates * step_seconds.

    Args:
        most: items that are wanted.
        seconds: that a look at so many takes.
        step_seconds: that an update takes.
        budget: share of the training time.
        n_updates: of the training.

    >>> [rows_paid_for(128, seconds, 0.1, 0.05, 2000) for seconds in (0.1, 1.0, 10.0)]
    [128, 48, 24]
    """
    affordable = SHARE_OF_LOSSES * budget * n_updates * step_seconds / WANTED
    rows = int(most * affordable / seconds) if seconds > 0 else most
    return min(most, max(rows, FEWEST_ROWS))


def paced(step: int, first: int, n_updates: int) -> float:
    """Give the share of the budget of a planned training that may be spent by a step.

    Evenly in the logarithm of the steps, as looks are: log(step/first) / log(n_updates/first).

    >>> [paced(step, 10, 1000) for step in (10, 100, 1000)]
    [0.0, 0.5, 1.0]
    """
    if n_updates <= first:
        return 1.0
    return min(1.0, max(0.0, math.log(max(step, 1) / first) / math.log(n_updates / first)))


@dataclass
class Purse:
    """What was spent, on what, and what may be.

    Attributes:
        budget: largest share of the training time; None for no limit.
        train_seconds: time of training so far.
        on_losses: time spent on losses.
        on_samples: time spent on samples of looks that were not certified.
        on_certificates: time spent on those of looks that were.
        on_files: time spent on pictures and on the record.
        on_rest: time spent on everything else.
        per_losses: estimated time of the losses of one look; 0 where unknown.
        per_sample: estimated time of one sample; 0 where unknown.
        planned_seconds: the part of the planned training whose budget may be spent by now (`paced`); 0 where
            its length is not known.
        whole_seconds: all of the planned training; 0 where its length is not known.
        tried_step: step at which it was tried what losses cost.
        tried_seconds: time of training at that step.
        per_rest: estimated time of everything else in one look; 0 where unknown.
        per_files: estimated time of writing files once; 0 where unknown.
    """

    budget: float | None
    train_seconds: float = 0.0
    on_losses: float = 0.0
    on_samples: float = 0.0
    on_certificates: float = 0.0
    on_rest: float = 0.0
    per_losses: float = 0.0
    per_sample: float = 0.0
    planned_seconds: float = 0.0
    on_files: float = 0.0
    whole_seconds: float = 0.0
    tried_step: int = 0
    tried_seconds: float = 0.0
    per_rest: float = 0.0
    per_files: float = 0.0

    @property
    def base(self) -> float:
        """The time that the budget is a share of."""
        return max(self.train_seconds, self.planned_seconds)

    @property
    def spent(self) -> float:
        """Time of the monitor so far."""
        return self.on_losses + self.on_samples + self.on_certificates + self.on_files + self.on_rest

    @property
    def limit(self) -> float:
        """The time that the monitor may take by now; infinite without a budget."""
        return math.inf if self.budget is None else self.budget * self.base

    def may_measure_losses(self) -> bool:
        """Whether losses can be paid for; those are whose cost nobody knows."""
        if not self.per_losses:
            return True
        wanted = self.on_losses + self.on_rest + self.per_losses + self.per_rest
        return wanted <= SHARE_OF_LOSSES * self.limit and self._fits(self.per_losses)

    def may_draw(self, samples: int, *, suspected: bool) -> bool:
        """Whether so many samples can be paid for."""
        cost = samples * self.per_sample
        is_in_share = suspected or self.on_samples + cost <= SHARE_OF_SAMPLES * self.limit
        return is_in_share and self._fits(cost)

    def may_certify(self, samples: int) -> bool:
        """Whether a certified look can be paid for; its cost has to be known where there is a budget."""
        is_known = self.budget is None or self.per_sample > 0
        return is_known and self._fits(samples * self.per_sample)

    def may_end_with(self, samples: int) -> bool:
        """Whether so many samples can be paid for at the end of a training, with all that is left."""
        cost = samples * self.per_sample
        whole = math.inf if self.budget is None else self.budget * max(self.base, self.whole_seconds)
        return self.spent + cost + self.per_rest <= whole

    def may_write(self) -> bool:
        """Whether files may be written."""
        return self.on_files + self.per_files <= SHARE_OF_FILES * self.limit

    def without_limit(self) -> "Purse":
        """The same without a budget, which pays for everything."""
        return replace(self, budget=None)

    def step_seconds(self, step: int) -> float:
        """Time of an update, since it was tried what losses cost."""
        since = self.tried_seconds if step > self.tried_step else 0.0
        steps = step - self.tried_step if step > self.tried_step else step
        return (self.train_seconds - since) / max(1, steps)

    def _fits(self, cost: float) -> bool:
        return self.spent + cost + self.per_rest <= self.limit

    def paid_losses(self, seconds: float) -> None:
        """Note what the losses of a look took."""
        self.on_losses += seconds
        self.per_losses = _smoothed(self.per_losses, seconds)

    def paid_samples(self, seconds: float, count: int) -> None:
        """Note what the samples of a look took that is not certified."""
        self.on_samples += seconds
        self.per_sample = _smoothed(self.per_sample, seconds / count)

    def paid_certificate(self, seconds: float, count: int) -> None:
        """Note what the samples of a certified look took."""
        self.on_certificates += seconds
        self.per_sample = _smoothed(self.per_sample, seconds / count)

    def paid_files(self, seconds: float) -> None:
        """Note what writing files took."""
        self.on_files += seconds
        self.per_files = _smoothed(self.per_files, seconds)

    def paid_rest(self, seconds: float, *, looked: bool) -> None:
        """Note what everything else took, at a step where there was a look or none."""
        self.on_rest += seconds
        if looked:
            self.per_rest = _smoothed(self.per_rest, seconds)


def _smoothed(before: float, now: float) -> float:
    return SMOOTHING * now + (1 - SMOOTHING) * before if before else now
