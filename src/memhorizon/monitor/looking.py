"""One look at a training: what is measured, what it costs, what follows from it, and what is kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from memhorizon.denoiser import Denoiser
from memhorizon.eval_mode import eval_mode
from memhorizon.experiments.run import environment
from memhorizon.monitor.answers import best_of, tags_of
from memhorizon.monitor.choice import best_look
from memhorizon.monitor.copies import CopyFinder, Found
from memhorizon.monitor.drawing import Drawn, draw
from memhorizon.monitor.due import may_look, ratio_after, samples_wanted, steps_to_wait
from memhorizon.monitor.failures import Failures
from memhorizon.monitor.isolation import isolated
from memhorizon.monitor.judging import Judge
from memhorizon.monitor.keeper import Keeper
from memhorizon.monitor.keeping import put_back, weights_of
from memhorizon.monitor.looks import Purse, next_step
from memhorizon.monitor.metering import Meter
from memhorizon.monitor.sequential import EProcess, allowed_share
from memhorizon.monitor.settings import MonitorSets, MonitorSettings
from memhorizon.monitor.sheets import SheetItems
from memhorizon.monitor.signals import Losses, Probe, measure_losses, rise, stable_rank
from memhorizon.monitor.state import Memory, first_seed
from memhorizon.monitor.subject import Subject, denoiser_of, is_out_of_memory
from memhorizon.monitor.verdict import verdict_of
from memhorizon.records.monitor import Look, MonitorRecord, Phase, Stop, Verdict

TRIED = 8  # items that a first look at the losses tries out


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a monitor was given beside its settings and its sets.

    Attributes:
        denoiser: what the network is: a denoiser, a function that makes one of a model, or nothing.
        log: called with the numbers of a look and its step.
        root: folder for what is kept.
        n_updates: planned length of the training.
        name: of the training.
        timer: gives the time in seconds.
    """

    denoiser: Callable[[object], Denoiser] | Denoiser | None
    log: Callable[[dict[str, float], int], object] | None
    root: Path | None
    n_updates: int | None
    name: str
    timer: Callable[[], float]


class Looking:
    """The looks of a monitor; `Monitor` is what people call.

    Attributes:
        settings: of the monitor.
        sets: that the training is compared with.
        finder: of copies.
        root: folder for what is kept; None to keep nothing.
        name: of the training.
        last_sheet: the latest contact sheet.
    """

    def __init__(self, settings: MonitorSettings, sets: MonitorSets, around: Surroundings) -> None:
        """Group the duplicates, fix what counts as a copy, and what losses are measured on."""
        self.settings = settings
        self.sets = sets
        self.finder = CopyFinder.of(sets.train, sets.holdout, target=settings.target, seed=settings.seed)
        self.root = around.root
        self.name = around.name
        self.last_sheet: SheetItems | None = None
        self._probe = Probe.of(sets.train, sets.holdout, settings.plan.n_probe, seed=settings.seed)
        self._denoiser = around.denoiser
        self._log = around.log
        self._batch_size = settings.batch_size
        self._memory = self._new_memory()
        self._failures = Failures()
        self._keeper = Keeper(around.root, self._failures)
        self._meter = Meter(around.timer, first=settings.plan.first, n_updates=around.n_updates)
        self._judge = Judge(settings, sets, self.finder.rule)

    def _new_memory(self) -> Memory:
        plan = self.settings.plan
        q0 = allowed_share(self.settings.target, self.finder.rule.allowed)
        return Memory(
            purse=Purse(self.settings.budget),
            test=EProcess(q0, self.settings.alpha),
            due=plan.first,
            next_sample=plan.first,
            next_seed=first_seed(self.settings.seed),
        )

    def record(self) -> MonitorRecord:
        """Everything that was seen, as it is written to a file."""
        memory = self._memory
        n_holdout = 0 if self.sets.holdout is None else len(self.sets.holdout)
        sampler = self.settings.sampler
        return MonitorRecord(
            looks=tuple(memory.looks),
            verdict=memory.verdict,
            best=best_of(memory, self.settings, self.finder.rule.threshold, self.root),
            rule=self.finder.rule,
            target=self.settings.target,
            confidence=self.settings.confidence,
            budget=self.settings.budget,
            n_train=len(self.sets.train),
            n_holdout=n_holdout,
            shared=self.sets.shared,
            item_shape=self.sets.item_shape,
            sampler=f"{sampler.method}, {sampler.n_solver_steps} steps",
            certificates=memory.certificates,
            most_certificates=self.settings.most_certificates,
            train_seconds=memory.purse.train_seconds,
            monitor_seconds=memory.purse.spent,
            sheets=tuple(memory.sheets),
            failures=tuple(memory.failures),
            seed=self.settings.seed,
            name=self.name,
            environment=environment(),
        )

    def _guarded(self, step: int, model: object, *, force: bool) -> Verdict | None:
        """Look; whatever fails is reported, and the training goes on."""
        memory = self._memory
        looks = len(memory.looks)
        with self._meter.aside(memory.purse, step):
            try:
                with isolated():
                    self._look(step, model, force=force)
            except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
                self._failures.note(memory, "look", f"step {step:,}: {type(error).__name__}: {error}")
                memory.due = next_step(step, self.settings.plan.ratio)
                if is_out_of_memory(error):
                    self._batch_size = max(1, self._batch_size // 4)
        return memory.verdict if len(memory.looks) > looks else None

    def _look(self, step: int, model: object, *, force: bool) -> None:
        memory = self._memory
        if memory.looks and step < memory.looks[-1].step:
            memory.due = memory.looks[-1].step + 1
            return
        purse = memory.purse
        plan = self.settings.plan
        if not (force or may_look(memory, plan, step)):
            memory.due = step + steps_to_wait(step, plan)
            return
        subject = Subject.of(denoiser_of(model, self._denoiser))
        if not (force or purse.per_losses):
            self._try_out(subject)
            if not purse.may_measure_losses():
                memory.due = step + steps_to_wait(step, plan)
                return
        losses = self._losses(subject, force=force)
        look = self._look_of(step, losses, subject)
        count, certified = self._samples_wanted(look, force=force)
        if count:
            look = self._with_samples(look, subject, count, certified=certified)
        memory.due = next_step(step, ratio_after(look, plan))
        self._conclude(look, subject)

    def _try_out(self, subject: Subject) -> None:
        """Measure the losses of a few items, to know what a look will cost."""
        few = self._probe.first(TRIED)
        with self._meter.timed() as seconds:
            self._measured(subject, few)
        purse = self._memory.purse
        purse.on_losses += seconds[0]
        purse.per_losses = seconds[0] * math.ceil(self._probe.evaluations / self._batch_size)
        purse.per_losses *= min(1.0, self._batch_size / few.evaluations)

    def _measured(self, subject: Subject, probe: Probe) -> Losses:
        with eval_mode(subject.denoiser):
            return measure_losses(subject.denoiser, probe, device=subject.device, batch_size=self._batch_size)

    def _losses(self, subject: Subject, *, force: bool) -> Losses | None:
        """The losses of this look; None where they cannot be paid for."""
        purse = self._memory.purse
        if not (force or purse.may_measure_losses()):
            return None
        with self._meter.timed() as seconds:
            found = self._measured(subject, self._probe)
        purse.paid_losses(seconds[0])
        if not purse.per_sample:  # a sample takes as many calls as its solver has steps
            calls = self.settings.sampler.n_solver_steps * (1 + (self.settings.sampler.method == "heun"))
            purse.per_sample = seconds[0] / self._probe.evaluations * calls
        return found

    def _look_of(self, step: int, losses: Losses | None, subject: Subject) -> Look:
        """What the cheap signals show."""
        look = Look(step, Phase.CANNOT_TELL, log_e=self._memory.test.log_e)
        if losses is None:
            return look
        gap, gap_error = losses.gap()
        look = replace(
            look,
            losses=losses.levels(),
            train_loss=losses.train_loss,
            holdout_loss=losses.holdout_loss,
            gap=gap,
            gap_error=gap_error,
            stable_rank=stable_rank(subject.networks),
        )
        if not self._probe.has_holdout:
            return look
        return self._with_rise(look, losses.holdout_rows)

    def _with_rise(self, look: Look, rows: Tensor) -> Look:
        memory = self._memory
        if not len(memory.lowest) or float(rows.mean()) < float(memory.lowest.mean()):
            memory.lowest = rows
            return replace(look, rise=0.0, rise_error=0.0)
        value, error = rise(rows, memory.lowest, self._probe)
        return replace(look, rise=value, rise_error=error)

    def _samples_wanted(self, look: Look, *, force: bool) -> tuple[int, bool]:
        """How many samples are drawn, and whether the look is certified."""
        most = self.settings.most_certificates
        if force and self._memory.certificates >= most:
            self._failures.note(self._memory, "certify", f"all {most} certified looks are used")
        return samples_wanted(
            self._memory,
            self.settings,
            look,
            self._judge.certified_size,
            has_holdout=self.sets.holdout is not None,
            force=force,
        )

    def _with_samples(
        self, look: Look, subject: Subject, count: int, *, certified: bool, tested: bool = True
    ) -> Look:
        """The look with fresh samples and what they show; the test for the stop goes on where `tested`."""
        memory = self._memory
        with self._meter.timed() as seconds:
            drawn = self._draw(subject, memory.seeds(count))
            found = self.finder.find(drawn.samples) if drawn.seeds else None
        memory.purse.paid_samples(seconds[0], count, certified=certified)
        if tested:
            memory.next_sample = next_step(look.step, self.settings.plan.sample_ratio)
        if drawn.note:
            self._failures.note(memory, "samples", f"step {look.step:,}: {drawn.note}")
        look = replace(look, note=drawn.note)
        if found is None:
            return look
        if tested:
            memory.test = memory.test.after(found.count, len(drawn.seeds))
            look = replace(look, log_e=memory.test.log_e)
        if certified:
            memory.certificates += 1
        sheet = self._sheet(look.step, drawn, found)
        return replace(self._judge.judged(look, drawn.samples, found, certified=certified), sheet=sheet)

    def _sheet(self, step: int, drawn: Drawn, found: Found) -> str:
        """Make the contact sheet; give the file of its picture."""
        count = self.settings.plan.n_shown
        self.last_sheet = SheetItems.of(drawn.samples, drawn.seeds, found, self.sets.train, count)
        return self._keeper.keep_sheet(self._memory, step, self.last_sheet, self.sets.limits)

    def _draw(self, subject: Subject, seeds: list[int]) -> Drawn:
        return draw(
            subject,
            self.sets.item_shape,
            seeds,
            sampler=self.settings.sampler,
            batch_size=self._batch_size,
        )

    def _conclude(self, look: Look, subject: Subject) -> None:
        """Reach the verdict, and write down what was seen."""
        memory = self._memory
        before = best_look(memory.looks, self.settings.target)
        verdict = self._verdict_with(look)
        look = replace(
            look,
            phase=verdict.phase,
            stop=verdict.stop,
            train_seconds=memory.purse.train_seconds,
            monitor_seconds=memory.purse.spent,
        )
        memory.looks.append(look)
        memory.verdict = verdict
        best = best_look(memory.looks, self.settings.target)
        if best is not None and best is not before:
            self._keeper.keep_best(memory, best, subject)
        self._keeper.keep_candidate(memory, look, subject)
        self._keeper.keep_record(memory, self.record)
        if self._log is not None:
            with self._failures.noted(memory, "log"):
                self._log(tags_of(look, memory), look.step)

    def _verdict_with(self, look: Look) -> Verdict:
        """The verdict after a look; a training that was to stop is to stop ever after."""
        memory = self._memory
        verdict = verdict_of(
            [*memory.looks, look],
            target=self.settings.target,
            crossed=memory.test.crossed,
            null=self.finder.rule.allowed,
        )
        if verdict.stop is Stop.NO:
            return replace(verdict, stop=memory.verdict.stop)
        return verdict

    def _finish(self, model: object) -> None:
        memory = self._memory
        look = next((look for look in memory.looks if look.step == memory.candidate), None)
        best = best_look(memory.looks, self.settings.target)
        is_worth = look is not None and (best is None or look.holdout_loss < best.holdout_loss)
        if look is None or not is_worth or memory.certificates >= self.settings.most_certificates:
            return
        subject = Subject.of(denoiser_of(model, self._denoiser))
        now = weights_of(subject.networks)
        kept = self._keeper.candidate_weights()
        try:
            put_back(subject.networks, kept)
            self._certify_candidate(look, subject)
        finally:
            put_back(subject.networks, now)
        self._keeper.keep_record(memory, self.record)

    def _certify_candidate(self, look: Look, subject: Subject) -> None:
        """Draw the samples of a certificate; where a few are copies, once more, as many as these ask for."""
        memory = self._memory
        place = memory.looks.index(look)
        size = self._judge.certified_size
        look = self._with_samples(look, subject, size, certified=True, tested=False)
        memory.looks[place] = look
        again = self._judge.size_again(look)
        if again and memory.certificates < self.settings.most_certificates:
            look = self._with_samples(look, subject, again, certified=True, tested=False)
            memory.looks[place] = look
        if best_look(memory.looks, self.settings.target) is look:
            self._keeper.keep_best(memory, look, subject)
