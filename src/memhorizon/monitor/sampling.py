"""The samples of looks: drawn, paid for, compared with the training set, judged and shown."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from memhorizon.monitor.copies import CopyFinder, Found
from memhorizon.monitor.drawing import Drawn, draw
from memhorizon.monitor.failures import Failures
from memhorizon.monitor.judging import Judge
from memhorizon.monitor.keeper import Keeper
from memhorizon.monitor.looks import Purse
from memhorizon.monitor.metering import Meter
from memhorizon.monitor.settings import MonitorSets, MonitorSettings
from memhorizon.monitor.sheets import SheetItems
from memhorizon.monitor.state import Memory
from memhorizon.monitor.subject import Subject
from memhorizon.records.monitor import Look


@dataclass(frozen=True, eq=False)
class Taken:
    """Samples, and what they are nearest to."""

    drawn: Drawn
    found: Found

    @classmethod
    def joined(cls, parts: Iterable["Taken"]) -> "Taken":
        """All samples of some parts, one at least."""
        first, *others = parts
        drawn = first.drawn
        found = first.found
        for other in others:
            drawn = drawn.joined(other.drawn)
            found = found.joined(other.found)
        return cls(drawn, found)


@dataclass(eq=False)
class Sampling:
    """Takes the samples of looks, and says what they show.

    Attributes:
        settings: of the monitor.
        sets: that the training is compared with.
        finder: of copies.
        judge: of samples.
        keeper: of contact sheets.
        meter: of the time that samples take.
        failures: where it is noted that some are not finite.
        last_sheet: the latest contact sheet; None before the first.
    """

    settings: MonitorSettings
    sets: MonitorSets
    finder: CopyFinder
    judge: Judge
    keeper: Keeper
    meter: Meter
    failures: Failures
    last_sheet: SheetItems | None = None

    def few(self, memory: Memory, subject: Subject, count: int) -> Iterator[Taken]:
        """Take samples of a look that is not certified."""
        yield self._taken(memory, subject, count, memory.purse.paid_samples)

    def for_certificate(self, memory: Memory, subject: Subject, purse: Purse) -> Iterator[Taken]:
        """Take the samples of a certified look, up to its second limit where that is asked for.

        Args:
            memory: of the monitor.
            subject: the network.
            purse: that has to pay for the second part.
        """
        first = self._taken(memory, subject, self.judge.first_size, memory.purse.paid_certificate)
        yield first
        # the rest of the second limit, where a few copies may be allowed for
        more = self.judge.second_size - self.judge.first_size
        if self.judge.asks_more(first.found) and purse.may_certify(more):
            yield self._taken(memory, subject, more, memory.purse.paid_certificate)

    def sampled(self, memory: Memory, look: Look, taken: Taken) -> Look:
        """The look with what its samples show."""
        return self._shown(memory, look, taken, self.judge.sampled)

    def certified(self, memory: Memory, look: Look, taken: Taken) -> Look:
        """The look with what its samples show, as one of those that a certificate may come from."""
        memory.certificates += bool(taken.drawn.seeds)
        return self._shown(memory, look, taken, self.judge.certified)

    def _taken(
        self, memory: Memory, subject: Subject, count: int, paid: Callable[[float, int], None]
    ) -> Taken:
        """So many fresh samples, paid for, and what they are nearest to."""
        with self.meter.timed() as seconds:
            drawn = draw(
                subject,
                self.sets.item_shape,
                memory.seeds(count),
                sampler=self.settings.sampler,
                batch_size=subject.batch_size,
            )
            found = self.finder.find(drawn.samples) if drawn.seeds else Found.none()
        paid(seconds[0], count)
        return Taken(drawn, found)

    def _shown(
        self, memory: Memory, look: Look, taken: Taken, judged: Callable[[Look, Tensor, Found], Look]
    ) -> Look:
        """The look as it is judged, with its contact sheet, and a note of samples that are left out."""
        drawn = taken.drawn
        if drawn.note:
            self.failures.note(memory, "samples", f"step {look.step:,}: {drawn.note}")
            look = replace(look, note=drawn.note)
        if not drawn.seeds:
            return look
        count = self.settings.plan.n_shown
        self.last_sheet = SheetItems.of(drawn.samples, drawn.seeds, taken.found, self.sets.train, count)
        sheet = self.keeper.keep_sheet(memory, look.step, self.last_sheet)
        return replace(judged(look, drawn.samples, taken.found), sheet=sheet)
