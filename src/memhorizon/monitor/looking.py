"""One look at a training: what is due, and what is measured."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from memhorizon.denoiser import Denoiser
from memhorizon.monitor.concluding import Concluder
from memhorizon.monitor.due import (
    certificate_due,
    may_certify,
    may_look,
    ratio_after,
    samples_wanted,
    steps_to_wait,
)
from memhorizon.monitor.failures import Failures
from memhorizon.monitor.isolation import isolated
from memhorizon.monitor.looks import Purse, next_step
from memhorizon.monitor.probing import Prober
from memhorizon.monitor.sampling import Sampling, Taken
from memhorizon.monitor.settings import MonitorSettings
from memhorizon.monitor.signals import stable_rank
from memhorizon.monitor.state import Memory
from memhorizon.monitor.subject import Subject, denoiser_of, is_out_of_memory
from memhorizon.records.monitor import Look, Phase

EARLY = 3  # looks from which on a network that has learned nothing is warned of


@dataclass(eq=False)
class Looker:
    """Looks at a training; whatever fails is noted, and the training continues.

    Attributes:
        settings: of the monitor.
        denoiser: what the network is: a denoiser, a function that makes one of a model, or nothing.
        prober: measures losses.
        sampling: takes samples.
        concluder: concludes from the looks.
        failures: where these are noted.
        batch_size: items per call of the network; fewer once the memory did not do.
    """

    settings: MonitorSettings
    denoiser: Callable[[object], Denoiser] | Denoiser | None
    prober: Prober
    sampling: Sampling
    concluder: Concluder
    failures: Failures
    batch_size: int

    def subject(self, model: object) -> Subject:
        """The network that is looked at, of what `Monitor.update` or `Monitor.finish` got."""
        return Subject.of(denoiser_of(model, self.denoiser), model, self.batch_size)

    def look(self, memory: Memory, step: int, model: object) -> None:
        """Look at the training, or put that off where it cannot be paid for."""
        if memory.looks and step < memory.looks[-1].step:
            memory.due = memory.looks[-1].step + 1
            return
        # what losses cost follows from the number of items, so that is fixed first
        if self.prober.is_ready(memory.purse):
            self.prober.fix(memory, step)
        if not may_look(memory, self.settings.plan, step):
            memory.due = step + steps_to_wait(step, self.settings.plan)
            return
        with self._guarded(memory, step):
            self._look(memory, step, self.subject(model))

    def certify(self, memory: Memory, step: int, model: object) -> None:
        """Look at the training whatever is due and whatever the budget, and certify it if that can be."""
        with self._guarded(memory, step):
            subject = self.subject(model)
            self.prober.fix(memory, step)
            look = self.prober.measured(memory, self._begun(memory, step), subject)
            look = self._asked(memory, look, subject)
            self._conclude(memory, look, subject)
            self.concluder.warn_untrained(memory)

    @contextmanager
    def _guarded(self, memory: Memory, step: int) -> Iterator[None]:
        """Note what fails, and go on; the training is as it was before."""
        try:
            with isolated():
                yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the training continues
            self.failures.note(memory, "look", f"step {step:,}: {type(error).__name__}: {error}")
            memory.due = next_step(step, self.settings.plan.ratio)
            if is_out_of_memory(error):
                self.batch_size = max(1, self.batch_size // 4)

    def _look(self, memory: Memory, step: int, subject: Subject) -> None:
        """Measure what is due; the first time, what that costs."""
        if not self.prober.is_ready(memory.purse):
            self.prober.try_out(memory, step, subject)
            memory.due = max(self.settings.plan.first, step + 1)
            return
        look = self._begun(memory, step)
        if memory.purse.may_measure_losses():
            look = self.prober.measured(memory, look, subject)
        look = self._due(memory, look, subject)
        self._conclude(memory, look, subject)
        # a network learns nothing at first
        if len(memory.looks) >= EARLY and memory.verdict.phase is Phase.CANNOT_TELL:
            self.concluder.warn_untrained(memory)

    def _begun(self, memory: Memory, step: int) -> Look:
        """A look at which nothing is measured yet."""
        return Look(step, Phase.CANNOT_TELL, log_e=memory.test.log_e, note=self.prober.note(memory))

    def _conclude(self, memory: Memory, look: Look, subject: Subject) -> None:
        memory.due = next_step(look.step, ratio_after(look, self.settings.plan))
        self.concluder.conclude(memory, look, subject)

    def _due(self, memory: Memory, look: Look, subject: Subject) -> Look:
        """The look with the samples that are due: those of a certificate, a few, or none."""
        size = self.sampling.judge.first_size
        has_holdout = self.prober.probe.has_holdout
        if certificate_due(memory, self.settings, look, size, has_holdout=has_holdout):
            return self._certified(memory, look, subject, memory.purse)
        return self._sampled(memory, look, subject)

    def _asked(self, memory: Memory, look: Look, subject: Subject) -> Look:
        """The look with the samples of a certificate; with those that are due where it cannot have one."""
        if may_certify(memory, self.settings, look):
            return self._certified(memory, look, subject, memory.purse.without_limit())
        most = self.settings.most_certificates
        if memory.certificates >= most:
            self.failures.note(memory, "certify", f"all {most} certified looks are used")
        return self._sampled(memory, look, subject)

    def _certified(self, memory: Memory, look: Look, subject: Subject, purse: Purse) -> Look:
        parts = self.sampling.for_certificate(memory, subject, purse)
        look, taken = self._take(memory, look, subject, parts)
        return self.sampling.certified(memory, look, taken)

    def _sampled(self, memory: Memory, look: Look, subject: Subject) -> Look:
        count = samples_wanted(memory, self.settings.plan, look)
        if not count:
            return look
        look, taken = self._take(memory, look, subject, self.sampling.few(memory, subject, count))
        return self.sampling.sampled(memory, look, taken)

    def _take(
        self, memory: Memory, look: Look, subject: Subject, parts: Iterable[Taken]
    ) -> tuple[Look, Taken]:
        """Take the samples of a look, with which the test for the stop goes on."""
        rank = stable_rank(subject.networks)
        taken = Taken.joined(_tested(memory, parts))
        memory.next_sample = next_step(look.step, self.settings.plan.sample_ratio)
        return replace(look, stable_rank=rank, log_e=memory.test.log_e), taken


def _tested(memory: Memory, parts: Iterable[Taken]) -> Iterator[Taken]:
    """Samples, each part of which goes into the test for the stop as soon as it is drawn."""
    for part in parts:
        if part.drawn.seeds:
            memory.test = memory.test.after(part.found.count, len(part.drawn.seeds))
        yield part
