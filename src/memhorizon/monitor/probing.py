"""On how many items losses are measured, and the measuring: as many as the budget pays for.

What losses cost is tried out on a few items; the step of the first look tells what an update costs. Then the
number of items is fixed for the whole training, since looks are compared item by item.
"""

import math
from dataclasses import replace

from torch import Tensor

from memhorizon.eval_mode import eval_mode
from memhorizon.monitor.constant import Constant
from memhorizon.monitor.looks import ASSUMED, Purse, rows_paid_for
from memhorizon.monitor.metering import Meter
from memhorizon.monitor.settings import MonitorSets, MonitorSettings
from memhorizon.monitor.signals import Losses, Probe, measure_losses, rise
from memhorizon.monitor.state import Memory
from memhorizon.monitor.subject import Subject
from memhorizon.records.monitor import Look

TRIED = 8  # items that it is tried on what losses cost
TRIES = 3


class Prober:
    """Measures losses on items that are fixed at the first look.

    Attributes:
        probe: these items; before the first look, all that may be.
    """

    def __init__(
        self, settings: MonitorSettings, sets: MonitorSets, meter: Meter, n_updates: int | None
    ) -> None:
        self._wanted = settings.plan.n_probe
        self._calls = settings.sampler.n_evaluations
        self._whole = Probe.of(sets.train, sets.holdout, self._wanted, seed=settings.seed)
        self._mean = sets.train.mean(0)
        self._constants: tuple[Constant, ...] = ()
        self._meter = meter
        self._n_updates = n_updates or ASSUMED
        self.probe = self._whole

    def resume(self, memory: Memory) -> None:
        """Take the items that a state says."""
        self.probe = self._whole.first(memory.rows or self._wanted)
        self._constants = ()

    @staticmethod
    def is_ready(purse: Purse) -> bool:
        """Whether it is known what losses cost, or does not matter."""
        return purse.budget is None or purse.per_losses > 0

    def try_out(self, memory: Memory, step: int, subject: Subject) -> None:
        """Measure a few losses, to know what a look costs; again, as the first time takes longer."""
        few = self._whole.first(TRIED)
        purse = memory.purse
        took = self._tries(subject, few)
        purse.on_losses += sum(took)
        purse.per_losses = min(took) * self._whole.evaluations / few.evaluations
        purse.tried_step = step
        purse.tried_seconds = purse.train_seconds

    def _tries(self, subject: Subject, few: Probe) -> list[float]:
        """Seconds of each of a few measurements."""
        took: list[float] = []
        for _ in range(TRIES):
            with self._meter.timed() as seconds:
                _losses(subject, few)
            took += seconds
        return took

    def fix(self, memory: Memory, step: int) -> None:
        """Fix the number of items, once."""
        if memory.rows:
            return
        purse = memory.purse
        memory.rows = self._wanted
        if purse.budget is not None and purse.per_losses:
            step_seconds = purse.step_seconds(step)
            memory.rows = rows_paid_for(
                self._wanted, purse.per_losses, step_seconds, purse.budget, self._n_updates
            )
            purse.per_losses *= memory.rows / self._wanted
        self.resume(memory)

    def note(self, memory: Memory) -> str:
        """At the first look, that not all items are looked at, if so."""
        if memory.looks or memory.rows >= self._wanted:
            return ""
        return f"losses of {memory.rows} items: the budget pays for no more"

    def _trivial_losses(self, subject: Subject) -> tuple[float, ...]:
        """The losses of the best constant output on the items that losses are measured on.

        On held-out items where there are any, and on training items.
        """
        if not self._constants:
            of_train = Constant.on(self.probe.train, self.probe, self._mean)
            self._constants = (Constant.of(self.probe, self._mean), of_train)
        return tuple(constant.loss(subject.denoiser) for constant in self._constants)

    def measured(self, memory: Memory, look: Look, subject: Subject) -> Look:
        """Measure the losses; give the look with what they show."""
        losses = self._paid_losses(memory.purse, subject)
        gap, gap_error = losses.gap()
        trivial_loss, trivial_train_loss = self._trivial_losses(subject)
        look = replace(
            look,
            losses=losses.levels(),
            train_loss=losses.train_loss,
            holdout_loss=losses.holdout_loss,
            gap=gap,
            gap_error=gap_error,
            trivial_loss=trivial_loss,
            trivial_train_loss=trivial_train_loss,
        )
        if not self.probe.has_holdout:
            return look
        return self._with_rise(memory, look, losses.holdout_rows)

    def _paid_losses(self, purse: Purse, subject: Subject) -> Losses:
        """Measure the losses, and note what that took."""
        with self._meter.timed() as seconds:
            losses = _losses(subject, self.probe)
        purse.paid_losses(seconds[0])
        if not purse.per_sample:  # as many calls as its solver makes
            purse.per_sample = purse.per_losses / self.probe.evaluations * self._calls
        return losses

    def _with_rise(self, memory: Memory, look: Look, rows: Tensor) -> Look:
        """The look with the rise over the lowest loss so far; losses that are not finite change nothing."""
        if not math.isfinite(look.holdout_loss):
            return look
        if not len(memory.lowest) or float(rows.mean()) < float(memory.lowest.mean()):
            memory.lowest = rows
            return replace(look, rise=0.0, rise_error=0.0)
        value, error = rise(rows, memory.lowest, self.probe)
        return replace(look, rise=value, rise_error=error)


def _losses(subject: Subject, probe: Probe) -> Losses:
    with eval_mode(subject.denoiser):
        return measure_losses(subject.denoiser, probe, device=subject.device, batch_size=subject.batch_size)
