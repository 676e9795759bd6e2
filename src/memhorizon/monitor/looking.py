"""One look at a training: what is measured, what it costs, what follows from it, and what is kept."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from memhorizon.denoiser import Denoiser
from memhorizon.eval_mode import eval_mode
from memhorizon.experiments.run import environment
from memhorizon.measure.features import PCAFeatures, pca_features
from memhorizon.measure.quality import frechet_distance
from memhorizon.monitor.answers import best_of, tags_of
from memhorizon.monitor.certificate import certified_size, upper_limit
from memhorizon.monitor.choice import best_look, is_candidate
from memhorizon.monitor.copies import CopyFinder, Found, expected_null
from memhorizon.monitor.drawing import Drawn, draw
from memhorizon.monitor.isolation import isolated, synchronize
from memhorizon.monitor.keeping import (
    BEST,
    CANDIDATE,
    RECORD,
    SHEETS,
    keep_bytes,
    keep_tensors,
    kept_tensors,
    put_back,
    weights_of,
)
from memhorizon.monitor.looks import Purse, next_step, paced
from memhorizon.monitor.sequential import EProcess, allowed_share
from memhorizon.monitor.settings import MonitorSets, MonitorSettings
from memhorizon.monitor.sheets import SheetItems, picture
from memhorizon.monitor.signals import Losses, Probe, measure_losses, rise, stable_rank
from memhorizon.monitor.state import Memory, first_seed
from memhorizon.monitor.subject import Subject, denoiser_of, is_out_of_memory
from memhorizon.monitor.verdict import verdict_of
from memhorizon.records.files import to_text
from memhorizon.records.monitor import Look, MonitorRecord, Phase, Sheet, Stop, Verdict
from memhorizon.results import Fraction

TRIED = 8  # items that a first look at the losses tries out
FEWEST_FRECHET = 40  # held-out items that a Frechet distance is measured with
FEWEST_SAMPLES = 2  # finite ones, likewise
DIRECTIONS = 16  # that it is measured in, at most
WORTH = 0.6  # of the target: the most copies seen with which a certificate is tried again
MOST_BYTES = 2**28  # of weights that are kept in memory


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
        self._timer = around.timer
        self._n_updates = around.n_updates
        self._warned: set[str] = set()
        self._batch_size = settings.batch_size
        self._clock: float | None = None
        self._memory = self._new_memory()
        self._candidate: dict[str, Tensor] = {}
        self._features: PCAFeatures | None = None
        self._certified_size = certified_size(
            settings.target,
            expected_null(self.finder.rule),
            confidence=settings.confidence,
            candidates=settings.most_certificates,
        )

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
        begun = self._begin(step)
        looks = len(memory.looks)
        try:
            with isolated():
                self._look(step, model, force=force)
        except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
            self._report("look", f"step {step:,}: {type(error).__name__}: {error}")
            memory.due = next_step(step, self.settings.plan.ratio)
            if is_out_of_memory(error):
                self._batch_size = max(1, self._batch_size // 4)
        finally:
            self._end(begun)
        return memory.verdict if len(memory.looks) > looks else None

    def _begin(self, step: int) -> tuple[float, float]:
        """Count the time since the last look as training; return the time, and what was spent before."""
        with suppress(RuntimeError):
            synchronize()
        now = self._timer()
        purse = self._memory.purse
        purse.train_seconds += now - (now if self._clock is None else self._clock)
        if self._n_updates is not None and step > 0:
            planned = purse.train_seconds * self._n_updates / step
            purse.planned_seconds = planned * paced(step, self.settings.plan.first, self._n_updates)
        return now, purse.spent

    def _end(self, begun: tuple[float, float]) -> None:
        """Count everything since `begun` as the monitor's."""
        start, spent = begun
        purse = self._memory.purse
        self._clock = self._timer()
        purse.on_rest += max(0.0, self._clock - start - (purse.spent - spent))

    def _look(self, step: int, model: object, *, force: bool) -> None:
        memory = self._memory
        if memory.looks and step < memory.looks[-1].step:
            memory.due = memory.looks[-1].step + 1
            return
        purse = memory.purse
        if not (force or purse.may_measure_losses() or (self._suspected() and self._samples_due(step))):
            memory.due = step + self._steps_to_wait(step)
            return
        subject = Subject.of(denoiser_of(model, self._denoiser))
        if not (force or purse.per_losses):
            self._try_out(subject)
            if not purse.may_measure_losses():
                memory.due = step + self._steps_to_wait(step)
                return
        losses = self._losses(subject, force=force)
        look = self._look_of(step, losses, subject)
        count, certified = self._samples_wanted(look, force=force)
        if count:
            look = self._with_samples(look, subject, count, certified=certified)
        memory.due = next_step(step, self._ratio(look))
        self._conclude(look, subject)

    def _try_out(self, subject: Subject) -> None:
        """Measure the losses of a few items, to know what a look will cost."""
        few = self._probe.first(TRIED)
        with self._timed() as seconds:
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
        with self._timed() as seconds:
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

    def _suspected(self) -> bool:
        """Whether the last samples showed a copy."""
        sampled = [look.copies for look in self._memory.looks if look.copies is not None]
        return bool(sampled) and sampled[-1].count > 0

    def _samples_due(self, step: int) -> bool:
        due = step >= self._memory.next_sample or self._suspected()
        return due and self._memory.purse.may_draw(self.settings.plan.n_samples, suspected=self._suspected())

    def _samples_wanted(self, look: Look, *, force: bool) -> tuple[int, bool]:
        """How many samples are drawn, and whether the look is certified."""
        memory = self._memory
        size = self._certified_size
        if memory.certificates < self.settings.most_certificates:
            wanted = force or self._is_candidate(look)
            if wanted and (force or memory.purse.may_certify(size)):
                return size, True
        elif force:
            self._report("certify", f"all {self.settings.most_certificates} certified looks are used")
        in_window = memory.verdict.phase is not Phase.LEARNING and bool(memory.looks)
        if not (in_window or self._samples_due(look.step)):
            return 0, False
        count = self.settings.plan.n_samples
        return (count, False) if memory.purse.may_draw(count, suspected=self._suspected()) else (0, False)

    def _is_candidate(self, look: Look) -> bool:
        if self.sets.holdout is not None and math.isnan(look.holdout_loss):
            return False
        looks = self._memory.looks
        best = best_look(looks, self.settings.target)
        copying = self._memory.test.crossed
        return is_candidate(look.holdout_loss, looks, best=best, step=look.step, phase_is_copying=copying)

    def _with_samples(
        self, look: Look, subject: Subject, count: int, *, certified: bool, tested: bool = True
    ) -> Look:
        """The look with fresh samples and what they show; the test for the stop goes on where `tested`."""
        memory = self._memory
        seeds = memory.seeds(count)
        with self._timed() as seconds:
            drawn = self._draw(subject, seeds)
            found = self.finder.find(drawn.samples) if drawn.seeds else None
        memory.purse.paid_samples(seconds[0], count, certified=certified)
        if tested:
            memory.next_sample = next_step(look.step, self.settings.plan.sample_ratio)
        if drawn.note:
            self._report("samples", f"step {look.step:,}: {drawn.note}")
        look = replace(look, note=drawn.note)
        if found is None:
            return look
        total = len(drawn.seeds)
        if tested:
            memory.test = memory.test.after(found.count, total)
        candidates = 1
        if certified:
            memory.certificates += 1
            candidates = self.settings.most_certificates
        confidence = self.settings.confidence
        return replace(
            look,
            copies=Fraction.of(found.count, total, confidence=confidence),
            upper=upper_limit(found.count, total, confidence=confidence, candidates=candidates),
            certified=certified,
            log_e=memory.test.log_e if tested else look.log_e,
            frechet=self._frechet(drawn.samples) if certified else math.nan,
            sheet=self._sheet(look.step, drawn, found),
        )

    def _draw(self, subject: Subject, seeds: Sequence[int]) -> Drawn:
        return draw(
            subject,
            self.sets.item_shape,
            seeds,
            sampler=self.settings.sampler,
            batch_size=self._batch_size,
        )

    def _frechet(self, samples: Tensor) -> float:
        """The distance of samples to the held-out items in main directions of the training set."""
        holdout = self.sets.holdout
        if holdout is None or len(holdout) < FEWEST_FRECHET or len(samples) < FEWEST_SAMPLES:
            return math.nan
        if self._features is None:
            dim = min(DIRECTIONS, len(self.sets.train) - 1, holdout[0].numel())
            self._features = pca_features(self.sets.train.cpu(), dim)
        return frechet_distance(samples, holdout.cpu(), features=self._features, same_units=True).value

    def _sheet(self, step: int, drawn: Drawn, found: Found) -> str:
        """Draw the contact sheet, and write it where there is a folder for it."""
        items = SheetItems.of(drawn.samples, drawn.seeds, found, self.sets.train, self.settings.plan.n_shown)
        self.last_sheet = items
        if self.root is None or not items.rows:
            return ""
        with self._reported("sheet"):
            name = f"{SHEETS}/step-{step:09d}"
            arrays = {"samples": items.samples.contiguous(), "nearest": items.nearest.contiguous()}
            keep_tensors(arrays, self.root / f"{name}.safetensors")
            shown = f"{name}.png" if items.are_pictures else ""
            if shown:
                keep_bytes(picture(items, self.sets.limits), self.root / shown)
            self._memory.sheets.append(Sheet(step, items.rows, shown, f"{name}.safetensors"))
            return shown
        return ""

    def _ratio(self, look: Look) -> float:
        """How far away the next look is: nearer where copies were seen, or the loss has not come down."""
        ratio = self.settings.plan.ratio
        has_copies = look.copies is not None and look.copies.count > 0
        return math.sqrt(ratio) if has_copies or look.rise > 0 else ratio

    def _steps_to_wait(self, step: int) -> int:
        """How many steps of training pay for the next look, at most up to the next look of the plan."""
        return max(1, next_step(step, math.sqrt(self.settings.plan.ratio)) - step)

    def _conclude(self, look: Look, subject: Subject) -> None:
        """Reach the verdict, and write down what was seen."""
        memory = self._memory
        before = best_look(memory.looks, self.settings.target)
        looks = [*memory.looks, look]
        verdict = verdict_of(
            looks,
            target=self.settings.target,
            crossed=memory.test.crossed,
            null=self.finder.rule.allowed,
        )
        if verdict.stop is Stop.NO and memory.verdict.stop is not Stop.NO:
            verdict = replace(verdict, stop=memory.verdict.stop)
        purse = memory.purse
        look = replace(
            look,
            phase=verdict.phase,
            stop=verdict.stop,
            train_seconds=purse.train_seconds,
            monitor_seconds=purse.spent,
        )
        memory.looks.append(look)
        memory.verdict = verdict
        best = best_look(memory.looks, self.settings.target)
        if best is not None and best is not before:
            self._keep(best, subject)
        self._keep_candidate(look, subject)
        self._write_record()
        if self._log is not None:
            with self._reported("log"):
                self._log(tags_of(look, memory), look.step)

    def _write_record(self) -> None:
        if self.root is None:
            return
        with self._reported("record"):
            keep_bytes(to_text(self.record()).encode(), self.root / RECORD)

    def _keep(self, best: Look, subject: Subject) -> None:
        """Keep the weights of the best checkpoint, where there is a folder for them."""
        if self.root is None:
            return
        with self._reported("weights"):
            keep_tensors(weights_of(subject.networks), self.root / BEST)
            self._memory.kept = best.step

    def _keep_candidate(self, look: Look, subject: Subject) -> None:
        """Keep the weights of the smallest held-out loss, once learning has slowed and until copies begin."""
        is_lowest = look.rise == 0 and not math.isnan(look.holdout_loss)
        if not is_lowest or look.phase is Phase.LEARNING or look.stop is not Stop.NO:
            return
        with self._reported("weights"):
            weights = weights_of(subject.networks)
            if self.root is not None:
                keep_tensors(weights, self.root / CANDIDATE)
            elif sum(value.nbytes for value in weights.values()) <= MOST_BYTES:
                self._candidate = weights
            else:
                return
            self._memory.candidate = look.step

    def _finish(self, model: object) -> None:
        memory = self._memory
        look = next((look for look in memory.looks if look.step == memory.candidate), None)
        best = best_look(memory.looks, self.settings.target)
        is_worth = look is not None and (best is None or look.holdout_loss < best.holdout_loss)
        if look is None or not is_worth or memory.certificates >= self.settings.most_certificates:
            return
        subject = Subject.of(denoiser_of(model, self._denoiser))
        now = weights_of(subject.networks)
        kept = self._candidate if self.root is None else kept_tensors(self.root / CANDIDATE)
        try:
            put_back(subject.networks, kept)
            self._certify_candidate(look, subject)
        finally:
            put_back(subject.networks, now)
        self._write_record()

    def _certify_candidate(self, look: Look, subject: Subject) -> None:
        """Draw the samples of a certificate; where a few are copies, once more, as many as these ask for."""
        memory = self._memory
        place = memory.looks.index(look)
        look = self._with_samples(look, subject, self._certified_size, certified=True, tested=False)
        memory.looks[place] = look
        again = self._size_again(look)
        if again and memory.certificates < self.settings.most_certificates:
            look = self._with_samples(look, subject, again, certified=True, tested=False)
            memory.looks[place] = look
        if best_look(memory.looks, self.settings.target) is look:
            self._keep(look, subject)

    def _size_again(self, look: Look) -> int:
        """The size of a second try; 0 where none is needed, or where it would hardly help."""
        if look.copies is None:
            return 0
        seen = look.copies.value
        if look.upper <= self.settings.target or seen > WORTH * self.settings.target:
            return 0
        return certified_size(
            self.settings.target,
            seen,
            confidence=self.settings.confidence,
            candidates=self.settings.most_certificates,
        )

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        """Go on where a part of a look fails, and report it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
            self._report(what, f"{what}: {type(error).__name__}: {error}")

    def _report(self, kind: str, text: str) -> None:
        """Note a failure, and warn of the first of its kind."""
        self._memory.failed(text[:500])
        if kind in self._warned:
            return
        self._warned.add(kind)
        with suppress(Warning):  # even where warnings are errors
            warnings.warn(f"memhorizon.Monitor: {text}; the training goes on", stacklevel=5)

    @contextmanager
    def _timed(self) -> Iterator[list[float]]:
        """Give the seconds that something took, accelerators included."""
        seconds = [0.0]
        start = self._timer()
        yield seconds
        synchronize()
        seconds[0] = self._timer() - start
