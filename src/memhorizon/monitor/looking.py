"""One look at a training: what is measured, what it costs, what follows from it, and what is kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from memhorizon.denoiser import Denoiser
from memhorizon.experiments.environment import environment
from memhorizon.monitor.answers import best_of, tags_of
from memhorizon.monitor.choice import best_look, has_learned
from memhorizon.monitor.copies import CopyFinder, Found
from memhorizon.monitor.drawing import Drawn, draw
from memhorizon.monitor.due import may_look, ratio_after, samples_wanted, steps_to_wait
from memhorizon.monitor.failures import Failures
from memhorizon.monitor.identity import Identity
from memhorizon.monitor.isolation import isolated
from memhorizon.monitor.judging import Judge
from memhorizon.monitor.keeper import Keeper
from memhorizon.monitor.keeping import put_back, weights_of
from memhorizon.monitor.looks import Purse, next_step
from memhorizon.monitor.metering import Meter
from memhorizon.monitor.probing import Prober
from memhorizon.monitor.sequential import EProcess, allowed_share
from memhorizon.monitor.settings import MonitorSets, MonitorSettings
from memhorizon.monitor.sheets import SheetItems
from memhorizon.monitor.signals import Losses, rise, stable_rank
from memhorizon.monitor.state import Memory, first_seed
from memhorizon.monitor.steps import Steps
from memhorizon.monitor.subject import Subject, denoiser_of, is_out_of_memory
from memhorizon.monitor.verdict import Finding, finding_of, nothing_learned
from memhorizon.records.monitor import Look, MonitorRecord, Phase, Stop, Verdict

EARLY = 3  # looks from which on a network that has learned nothing is warned of


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
        self._environment = environment()
        self._denoiser = around.denoiser
        self._log = around.log
        self._batch_size = settings.batch_size
        self._memory = self._new_memory()
        self._failures = Failures()
        self._steps = Steps(self._failures)
        self._identity = Identity(settings, sets)
        self._keeper = Keeper(around.root, self._failures, sets.limits)
        self._meter = Meter(around.timer, first=settings.plan.first, n_updates=around.n_updates)
        self._prober = Prober(settings, sets, self._meter, around.n_updates)
        self._judge = Judge(settings, sets, self.finder.rule)

    def _new_memory(self) -> Memory:
        plan = self.settings.plan
        q0 = allowed_share(self.settings.target, self.finder.rule.allowed)
        return Memory(
            purse=Purse(self.settings.budget),
            test=EProcess(q0, self.settings.alpha),
            due=plan.first if self.settings.budget is None else max(1, plan.first // 2),
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
            environment=self._environment,
        )

    def _guarded(self, step: int, model: object, *, force: bool) -> Verdict | None:
        """Look; whatever fails is reported, and the training continues."""
        memory = self._memory
        looks = len(memory.looks)
        with self._meter.aside(memory.purse, step):
            if self._puts_off(step, force=force):
                return None
            try:
                with isolated():
                    self._look(step, model, force=force)
            except Exception as error:  # noqa: BLE001 - whatever it is, the training continues
                self._failures.note(memory, "look", f"step {step:,}: {type(error).__name__}: {error}")
                memory.due = next_step(step, self.settings.plan.ratio)
                if is_out_of_memory(error):
                    self._batch_size = max(1, self._batch_size // 4)
        return memory.verdict if len(memory.looks) > looks else None

    def _puts_off(self, step: int, *, force: bool) -> bool:
        """Whether the look that is due has to wait."""
        memory = self._memory
        plan = self.settings.plan
        if memory.looks and step < memory.looks[-1].step:
            memory.due = memory.looks[-1].step + 1
            return True
        if self._prober.is_ready(memory.purse):
            self._prober.fix(memory, step)
        if force or may_look(memory, plan, step):
            return False
        memory.due = step + steps_to_wait(step, plan)
        return True

    def _look(self, step: int, model: object, *, force: bool) -> None:
        memory = self._memory
        plan = self.settings.plan
        subject = self._subject(model)
        if not (force or self._prober.is_ready(memory.purse)):
            self._prober.try_out(memory, step, subject, batch_size=self._batch_size)
            memory.due = max(plan.first, step + 1)
            return
        self._prober.fix(memory, step)
        losses = self._losses(subject, force=force)
        look = self._look_of(step, losses, subject)
        count, certified = self._samples_wanted(look, force=force)
        if count:
            look = replace(look, stable_rank=stable_rank(subject.networks))
            look = self._with_samples(look, subject, count, certified=certified, unlimited=force)
        memory.due = next_step(step, ratio_after(look, plan))
        self._conclude(look, subject)
        self._warn_untrained(at_once=force)

    def _subject(self, model: object) -> Subject:
        """The network that is looked at, of what `update` or `finish` got."""
        return Subject.of(denoiser_of(model, self._denoiser), model)

    def _losses(self, subject: Subject, *, force: bool) -> Losses | None:
        """The losses of this look; None where they cannot be paid for."""
        purse = self._memory.purse
        if not (force or purse.may_measure_losses()):
            return None
        found = self._prober.losses(self._memory, subject, batch_size=self._batch_size)
        if not purse.per_sample:  # as many calls as its solver makes
            calls = self.settings.sampler.n_evaluations
            purse.per_sample = purse.per_losses / self._prober.probe.evaluations * calls
        return found

    def _look_of(self, step: int, losses: Losses | None, subject: Subject) -> Look:
        """What the losses show."""
        memory = self._memory
        look = Look(step, Phase.CANNOT_TELL, log_e=memory.test.log_e, note=self._prober.note(memory))
        if losses is None:
            return look
        gap, gap_error = losses.gap()
        trivial_loss, trivial_train_loss = self._prober.trivial_losses(subject)
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
        if not self._prober.probe.has_holdout:
            return look
        return self._with_rise(look, losses.holdout_rows)

    def _with_rise(self, look: Look, rows: Tensor) -> Look:
        """The look with the rise over the lowest loss so far; losses that are not finite change nothing."""
        memory = self._memory
        if not math.isfinite(look.holdout_loss):
            return look
        if not len(memory.lowest) or float(rows.mean()) < float(memory.lowest.mean()):
            memory.lowest = rows
            return replace(look, rise=0.0, rise_error=0.0)
        value, error = rise(rows, memory.lowest, self._prober.probe)
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
            self._judge.first_size,
            has_holdout=self.sets.holdout is not None,
            force=force,
        )

    def _with_samples(
        self,
        look: Look,
        subject: Subject,
        count: int,
        *,
        certified: bool,
        tested: bool = True,
        unlimited: bool = False,
    ) -> Look:
        """The look with fresh samples and what they show.

        Args:
            look: that they are of.
            subject: the network.
            count: of the samples; a certified look where a few are copies draws more.
            certified: whether the look is one of those that a certificate may come from.
            tested: whether the test for the stop goes on.
            unlimited: draw whatever the budget.
        """
        memory = self._memory
        drawn, found = self._sampled(subject, count, certified=certified, tested=tested, unlimited=unlimited)
        if tested:
            memory.next_sample = next_step(look.step, self.settings.plan.sample_ratio)
            look = replace(look, log_e=memory.test.log_e)
        if drawn.note:
            self._failures.note(memory, "samples", f"step {look.step:,}: {drawn.note}")
            look = replace(look, note=drawn.note)
        if not drawn.seeds:
            return look
        memory.certificates += certified
        sheet = self._sheet(look.step, drawn, found)
        return replace(self._judge.judged(look, drawn.samples, found, certified=certified), sheet=sheet)

    def _sampled(
        self, subject: Subject, count: int, *, certified: bool, tested: bool, unlimited: bool
    ) -> tuple[Drawn, Found]:
        """Fresh samples and what they are nearest to; for a certificate, up to its second limit if asked."""
        drawn, found = self._sampled_once(subject, count, certified=certified, tested=tested)
        more = self._judge.second_size - count
        asks_more = certified and self._judge.asks_more(found)
        if not (asks_more and (unlimited or self._memory.purse.may_certify(more))):
            return drawn, found
        others, seen = self._sampled_once(subject, more, certified=True, tested=tested)
        return drawn.joined(others), found.joined(seen)

    def _sampled_once(
        self, subject: Subject, count: int, *, certified: bool, tested: bool
    ) -> tuple[Drawn, Found]:
        """So many fresh samples, paid for, and what they are nearest to."""
        memory = self._memory
        with self._meter.timed() as seconds:
            drawn = self._draw(subject, memory.seeds(count))
            found = self.finder.find(drawn.samples) if drawn.seeds else Found.none()
        memory.purse.paid_samples(seconds[0], count, certified=certified)
        if tested and drawn.seeds:
            memory.test = memory.test.after(found.count, len(drawn.seeds))
        return drawn, found

    def _sheet(self, step: int, drawn: Drawn, found: Found) -> str:
        """Make the contact sheet; give the file of its picture."""
        count = self.settings.plan.n_shown
        self.last_sheet = SheetItems.of(drawn.samples, drawn.seeds, found, self.sets.train, count)
        return self._keeper.keep_sheet(self._memory, step, self.last_sheet)

    def _draw(self, subject: Subject, seeds: list[int]) -> Drawn:
        return draw(
            subject,
            self.sets.item_shape,
            seeds,
            sampler=self.settings.sampler,
            batch_size=self._batch_size,
        )

    def _conclude(self, look: Look, subject: Subject) -> None:
        """Reach the verdict, keep what is worth keeping, and write down what was seen."""
        memory = self._memory
        best = best_look(memory.looks, self.settings.target)
        was = memory.verdict.stop
        look = self._remembered(look)
        self._keep(look, subject, best)
        is_new_stop = look.stop is not Stop.NO and was is Stop.NO
        if is_new_stop:
            self._certify_kept(subject, unlimited=False)
        self._write(always=look.stop is not was)
        if self._log is not None:
            with self._failures.noted(memory, "log"):
                self._log(tags_of(look, memory), look.step)

    def _remembered(self, look: Look) -> Look:
        """Remember a look with the verdict after it."""
        memory = self._memory
        memory.finding = self._finding_with(look)
        look = replace(
            look,
            phase=memory.verdict.phase,
            stop=memory.verdict.stop,
            train_seconds=memory.purse.train_seconds,
            monitor_seconds=memory.purse.spent,
        )
        memory.looks.append(look)
        return look

    def _warn_untrained(self, *, at_once: bool) -> None:
        """Warn of a network that after a few looks, or at the end, is no better than a constant output."""
        looks = self._memory.looks
        is_early = len(looks) < EARLY or self._memory.verdict.phase is not Phase.CANNOT_TELL
        if looks and (at_once or not is_early) and not any(map(has_learned, looks)):
            words = f"step {looks[-1].step:,}: {nothing_learned(looks[-1])} No look is certified"
            self._failures.once(self._memory, "untrained", words)

    def _keep(self, look: Look, subject: Subject, before: Look | None) -> None:
        """Keep the weights of the last look if it is the best, or a candidate.

        Args:
            look: that was remembered.
            subject: the network.
            before: the best look without this one.
        """
        memory = self._memory
        best = best_look(memory.looks, self.settings.target)
        if best is not None and best is not before and self.root is not None:
            self._keeper.keep_best(memory, best, weights_of(subject.networks))
        self._keeper.keep_candidate(memory, look, subject)

    def _finding_with(self, look: Look) -> Finding:
        """What is found after a look; a training that was to stop is to stop ever after."""
        memory = self._memory
        finding = finding_of(
            [*memory.looks, look],
            target=self.settings.target,
            crossed=memory.test.crossed,
            null=self.finder.rule.allowed,
        )
        if finding.reached.stop is not Stop.NO:
            return finding
        return replace(finding, reached=replace(finding.reached, stop=memory.verdict.stop))

    def _write(self, *, always: bool) -> None:
        """Write the record and the pictures of sheets, as far as the budget pays for them."""
        purse = self._memory.purse
        if self.root is None or not (always or purse.may_write()):
            return
        with self._meter.timed() as seconds:
            self._keeper.write(self._memory, self.record)
        purse.paid_files(seconds[0])

    def _finish(self, model: object) -> None:
        self._certify_kept(self._subject(model), unlimited=True)
        self._keep_best_again()
        self._warn_untrained(at_once=True)
        self._write(always=True)

    def _certify_kept(self, subject: Subject, *, unlimited: bool) -> None:
        """Certify the candidates whose weights were kept, the lowest first, until one has a certificate.

        Args:
            subject: the network.
            unlimited: draw whatever the budget; else as far as it pays.
        """
        memory = self._memory
        size = self._judge.first_size
        for step in reversed(memory.candidates):
            look = next(look for look in memory.looks if look.step == step)
            best = best_look(memory.looks, self.settings.target)
            if best is not None and best.holdout_loss <= look.holdout_loss:
                return
            is_spent = memory.certificates >= self.settings.most_certificates
            if look.certified or is_spent or not has_learned(look):
                continue
            if not (unlimited or memory.purse.may_end_with(size)):
                return
            if not self._keeper.holds(look):
                words = f"step {step:,}: its weights are not in the folder any more; it is not certified"
                self._failures.once(memory, "candidate", words)
                continue
            now = weights_of(subject.networks)
            try:
                put_back(subject.networks, self._keeper.candidate_weights(step))
                self._certify(look, subject, unlimited=unlimited)
            finally:
                put_back(subject.networks, now)

    def _keep_best_again(self) -> None:
        """Write the weights of the best checkpoint from those of its candidate, where others lie there.

        So it is where a training was resumed from a state that is older than its last best checkpoint.
        """
        memory = self._memory
        best = best_of(memory, self.settings, self.finder.rule.threshold, self.root)
        if best is None or best.path or self.root is None or best.step not in memory.candidates:
            return
        look = next(look for look in memory.looks if look.step == best.step)
        if self._keeper.holds(look):
            self._keeper.keep_best(memory, look, self._keeper.candidate_weights(look.step))

    def _certify(self, look: Look, subject: Subject, *, unlimited: bool) -> None:
        """Draw the samples of a certificate of an earlier look, whose weights the network has."""
        memory = self._memory
        place = memory.looks.index(look)
        size = self._judge.first_size
        look = self._with_samples(look, subject, size, certified=True, tested=False, unlimited=unlimited)
        memory.looks[place] = look
        memory.finding = memory.finding.certified(look)
        if best_look(memory.looks, self.settings.target) is look and self.root is not None:
            self._keeper.keep_best(memory, look, weights_of(subject.networks))
