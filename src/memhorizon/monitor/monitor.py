"""`Monitor`: watches a training from inside its loop, and says when to stop and what to ship."""

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from memhorizon.checks import check_whole
from memhorizon.denoiser import Denoiser
from memhorizon.errors import InputError
from memhorizon.eval_mode import eval_mode, networks
from memhorizon.experiments.run import environment
from memhorizon.files.plain import check_path
from memhorizon.measure.features import PCAFeatures, pca_features
from memhorizon.measure.items import Items
from memhorizon.measure.quality import frechet_distance
from memhorizon.monitor.certificate import certified_size, upper_limit
from memhorizon.monitor.choice import best_look, is_candidate
from memhorizon.monitor.copies import CopyFinder, Found, expected_null
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
from memhorizon.monitor.looks import LookPlan, Purse, next_step, paced
from memhorizon.monitor.sequential import EProcess, allowed_share
from memhorizon.monitor.settings import DEFAULT_SAMPLER, MonitorSets, MonitorSettings, split_off
from memhorizon.monitor.sheets import SheetItems, picture
from memhorizon.monitor.signals import Losses, Probe, measure_losses, rise, stable_rank
from memhorizon.monitor.state import Memory, first_seed
from memhorizon.monitor.verdict import verdict_of
from memhorizon.records.files import to_text
from memhorizon.records.monitor import Best, Certificate, Look, MonitorRecord, Phase, Sheet, Stop, Verdict
from memhorizon.results import Fraction
from memhorizon.samplers import SamplerConfig, sample

if TYPE_CHECKING:
    MakeDenoiser: TypeAlias = Callable[[object], Denoiser] | Denoiser | None
    Log: TypeAlias = Callable[[dict[str, float], int], object] | None
    Sampler: TypeAlias = SamplerConfig
    Plan: TypeAlias = LookPlan | None
    Folder: TypeAlias = str | os.PathLike[str] | None
else:  # checked by `Monitor`
    MakeDenoiser = Log = Sampler = Plan = Folder = object

TRIED = 8  # items that a first look at the losses tries out
FEWEST_FRECHET = 40  # held-out items that a Frechet distance is measured with
DIRECTIONS = 16  # that it is measured in, at most
WORTH = 0.6  # of the target: the most copies seen with which a certificate is tried again
MOST_BYTES = 2**28  # of weights that are kept in memory


@dataclass(frozen=True, eq=False)
class Subject:
    """The network that is looked at.

    Attributes:
        denoiser: what it is.
        networks: that are behind it.
        device: where they are.
    """

    denoiser: Denoiser
    networks: list[nn.Module]
    device: torch.device

    @classmethod
    def of(cls, denoiser: Denoiser) -> "Subject":
        """Find the networks behind a denoiser."""
        found = networks(denoiser)
        first = next((weight for network in found for weight in network.parameters()), None)
        return cls(denoiser, found, torch.device("cpu") if first is None else first.device)


class Monitor:
    """Watches a training: learning, in the window, or memorizing? And which checkpoint is to be shipped?

    For example::

        monitor = mh.Monitor(train, holdout=holdout, denoiser=lambda m: mh.Denoiser.noise(m, schedule))
        for step in range(n_updates):
            ...                                     # the update, as it is
            if monitor.update(step, model) and monitor.should_stop:
                break
        best = monitor.best                         # its step, quality and certificate

    A training with a monitor is equal, bit for bit, to one without it. A monitor that fails (memory, disk, an
    error in `log`) warns once, notes it in `record().failures` and goes on; it never ends the training.
    """

    def __init__(
        self,
        train: Items,
        *,
        holdout: Items | None = None,
        denoiser: MakeDenoiser = None,
        sampler: Sampler = DEFAULT_SAMPLER,
        target: float = 0.01,
        confidence: float = 0.95,
        budget: float | None = 0.05,
        log: Log = None,
        root: Folder = None,
        seed: int = 0,
        plan: Plan = None,
        most_certificates: int = 10,
        batch_size: int = 256,
        n_updates: int | None = None,
        name: str = "",
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        """Read the sets, group the duplicates, fix what counts as a copy.

        Args:
            train: what is trained on: tensor, array, path or ImageSet, on the scale that the network sees,
                without augmentation. [n, *item]
            holdout: items as fresh that are not trained on, likewise. None where all are trained on: then
                there is no loss gap and no quality, copies alone are looked for, and only "memorizing" and
                "cannot tell" can be told. `split_off` divides a set.
            denoiser: what the network is: a function of the model that `update` gets, such as
                `lambda m: mh.Denoiser.noise(m, schedule)`; or a Denoiser around the network that is trained.
                None where `update` gets a Denoiser.
            sampler: how samples are drawn.
            target: largest share of copies that is fine.
            confidence: of the stop and of the certificate.
            budget: largest share of the training time that the monitor may take; None for no limit.
            log: called as log({"memhorizon/...": number, ...}, step) after each look.
            root: folder for the record, the contact sheets and the weights of the best checkpoint; None to
                keep nothing.
            seed: of everything that is drawn; less than 2**63.
            plan: how densely the training is looked at.
            most_certificates: looks that may be certified, K of the certificate.
            batch_size: items per call of the network.
            n_updates: planned length of the training, where it is known: the budget is then a share of the
                time of all of it, spent evenly in the logarithm of the steps; None: of the time so far.
            name: of the training, for the record.
            timer: gives the time in seconds.

        Raises:
            InputError: naming the argument, if the sets cannot be used or an option is none.
        """
        if log is not None and not callable(log):
            raise InputError(f"log: expected a function log(dict, step), got {type(log).__name__}")
        if denoiser is not None and not callable(denoiser):
            raise InputError(f"denoiser: expected a function of the model, got {type(denoiser).__name__}")
        plan = LookPlan() if plan is None else plan
        self.settings = MonitorSettings(
            target, confidence, budget, sampler, plan, most_certificates, batch_size, seed
        )
        self.sets = MonitorSets.of(train, holdout)
        self.name = name
        self._n_updates = None if n_updates is None else check_whole("n_updates", n_updates, least=1)
        self.root = None if root is None else check_path("root", root)
        self.finder = CopyFinder.of(self.sets.train, self.sets.holdout, target=target, seed=seed)
        self._probe = Probe.of(self.sets.train, self.sets.holdout, plan.n_probe, seed=seed)
        self._denoiser = denoiser
        self._log = log
        self._timer = timer
        self._warned: set[str] = set()
        self._batch_size = batch_size
        self._clock: float | None = None
        self._memory = self._new_memory()
        self._candidate: dict[str, Tensor] = {}
        self._features: PCAFeatures | None = None
        self._certified_size = certified_size(
            target, expected_null(self.finder.rule), confidence=confidence, candidates=most_certificates
        )
        self.last_sheet: SheetItems | None = None

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

    # --- what people call ---

    def update(self, step: int, model: object = None) -> Verdict | None:
        """Look at the training if a look is due; microseconds where none is.

        Args:
            step: updates done so far.
            model: the network, or what `denoiser` takes (give the averaged weights if these are shipped);
                None where `denoiser` is a Denoiser around it.

        Returns:
            The verdict if there was a look; None otherwise.
        """
        if self._clock is None:
            self._clock = self._timer()
        if step < self._memory.due:
            return None
        return self._guarded(int(step), model, force=False)

    def certify(self, step: int, model: object = None) -> Verdict | None:
        """Certify a checkpoint now, whatever is due and whatever the budget: one of the K certified looks.

        For the end of a training, or for weights that were kept: load them, then call this.

        Args:
            step: of the checkpoint; not below that of the last look.
            model: as for `update`.
        """
        if self._clock is None:
            self._clock = self._timer()
        return self._guarded(int(step), model, force=True)

    def finish(self, model: object = None) -> Best | None:
        """Certify the checkpoint with the smallest held-out loss, if the best one is not as good.

        To be called when the training is over. Within its budget the monitor may not have been able to draw
        the samples of a certificate at the right moment; so it kept the weights of that checkpoint (in
        `root`; in memory without one, up to 256 MB). They are put into the network, samples are drawn, and
        the weights that it had are put back. Takes as long as some 500 to 1,000 samples do.

        Args:
            model: as for `update`.

        Returns:
            The best checkpoint, as `best`.
        """
        begun = self._begin(0)
        try:
            with isolated():
                self._finish(model)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller goes on
            self._report("finish", f"finish: {type(error).__name__}: {error}")
        finally:
            self._end(begun)
        return self.best

    @property
    def verdict(self) -> Verdict:
        """Where the training is, after the last look."""
        return self._memory.verdict

    @property
    def should_stop(self) -> bool:
        """Whether the training should stop: copies are proven, or the best checkpoint lies behind."""
        return self._memory.verdict.stop is not Stop.NO

    @property
    def best(self) -> Best | None:
        """The checkpoint that is worth shipping, with its certificate; None where none has one so far."""
        look = best_look(self._memory.looks, self.settings.target)
        if look is None or look.copies is None:
            return None
        certificate = Certificate(
            look.step,
            look.copies,
            look.upper,
            self.settings.confidence,
            self.settings.most_certificates,
            self.finder.rule.threshold,
        )
        path = "" if self.root is None or self._memory.kept != look.step else str(self.root / BEST)
        return Best(look.step, look.holdout_loss, look.copies, certificate, path)

    @property
    def history(self) -> tuple[Look, ...]:
        """What was seen, one row for each look."""
        return tuple(self._memory.looks)

    @property
    def overhead(self) -> float:
        """Time of the monitor as a share of the time of training up to the last look; NaN before it."""
        purse = self._memory.purse
        return purse.spent / purse.train_seconds if purse.train_seconds else math.nan

    def state_dict(self) -> dict[str, object]:
        """Everything that a resumed training needs, as plain values and tensors."""
        return self._memory.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from a state; the looks that follow are those of the training that was not interrupted.

        Raises:
            InputError: if it is the state of no monitor.
        """
        self._memory = Memory.of_state(state)
        self._candidate = {}
        if self.root is None:  # weights in memory are no part of a state
            self._memory.candidate = -1
        self._clock = None

    def record(self) -> MonitorRecord:
        """Everything that was seen, as it is written to a file."""
        memory = self._memory
        n_holdout = 0 if self.sets.holdout is None else len(self.sets.holdout)
        sampler = self.settings.sampler
        return MonitorRecord(
            looks=self.history,
            verdict=self.verdict,
            best=self.best,
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

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the page of this training: one file, no script, nothing loaded from elsewhere.

        Args:
            path: of the HTML file.

        Raises:
            InputError: if no file can be written at `path`.
        """
        from importlib import import_module  # the page is above this package

        write = import_module("memhorizon.report.monitor_page").write
        return write(self.record(), check_path("path", path), root=self.root)

    def __repr__(self) -> str:
        return f"Monitor({self.verdict.phase}, {len(self.history)} looks)"

    @staticmethod
    def split_off(items: Items, *, share: float = 0.15, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Divide images into those to train on and those to hold out: see `settings.split_off`."""
        return split_off(items, share=share, seed=seed)

    # --- one look ---

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
            if _is_out_of_memory(error):
                self._batch_size = max(1, self._batch_size // 4)
        finally:
            self._end(begun)
        return self.verdict if len(memory.looks) > looks else None

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
        subject = Subject.of(self._denoiser_of(model))
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

    def _denoiser_of(self, model: object) -> Denoiser:
        if isinstance(model, DistributedDataParallel):
            model = model.module  # its own forward pass waits for the other processes
        if isinstance(model, Denoiser):
            return model
        if isinstance(self._denoiser, Denoiser):
            return self._denoiser
        if self._denoiser is None:
            raise InputError(f"model: expected a Denoiser, since no `denoiser` is given, got {model!r:.60}")
        made = self._denoiser(model)
        if not isinstance(made, Denoiser):
            raise InputError(f"denoiser: expected a function that gives a Denoiser, got {made!r:.60}")
        return made

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
            samples = self._draw(subject, seeds)
            found = self.finder.find(samples)
        memory.purse.paid_samples(seconds[0], count, certified=certified)
        if tested:
            memory.next_sample = next_step(look.step, self.settings.plan.sample_ratio)
            memory.test = memory.test.after(found.count, count)
        candidates = 1
        if certified:
            memory.certificates += 1
            candidates = self.settings.most_certificates
        confidence = self.settings.confidence
        sheet = self._sheet(look.step, samples, seeds, found)
        return replace(
            look,
            copies=Fraction.of(found.count, count, confidence=confidence),
            upper=upper_limit(found.count, count, confidence=confidence, candidates=candidates),
            certified=certified,
            log_e=memory.test.log_e if tested else look.log_e,
            frechet=self._frechet(samples) if certified else math.nan,
            sheet=sheet,
        )

    def _frechet(self, samples: Tensor) -> float:
        """The distance of samples to the held-out items in main directions of the training set."""
        holdout = self.sets.holdout
        if holdout is None or len(holdout) < FEWEST_FRECHET:
            return math.nan
        if self._features is None:
            dim = min(DIRECTIONS, len(self.sets.train) - 1, holdout[0].numel())
            self._features = pca_features(self.sets.train.cpu(), dim)
        return frechet_distance(samples, holdout.cpu(), features=self._features, same_units=True).value

    def _draw(self, subject: Subject, seeds: Sequence[int]) -> Tensor:
        samples = sample(
            subject.denoiser,
            self.sets.item_shape,
            seeds=seeds,
            sampler=self.settings.sampler,
            device=subject.device,
            batch_size=self._batch_size,
        )
        return torch.nan_to_num(samples.detach().cpu().float(), nan=0.0, posinf=1e6, neginf=-1e6).clamp(
            -1e6, 1e6
        )

    def _sheet(self, step: int, samples: Tensor, seeds: list[int], found: Found) -> str:
        """Draw the contact sheet, and write it where there is a folder for it."""
        items = SheetItems.of(samples, seeds, found, self.sets.train, self.settings.plan.n_shown)
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
                self._log(self._tags(look), look.step)

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
        if not is_lowest or look.phase is Phase.LEARNING or self.should_stop:
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
        subject = Subject.of(self._denoiser_of(model))
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
        size = self._certified_size
        while size and memory.certificates < self.settings.most_certificates:
            look = self._with_samples(look, subject, size, certified=True, tested=False)
            memory.looks[place] = look
            size = self._size_again(look) if size == self._certified_size else 0
        if best_look(memory.looks, self.settings.target) is look:
            self._keep(look, subject)

    def _size_again(self, look: Look) -> int:
        """The size of a second try; 0 where none is needed, or where it would hardly help."""
        seen = 0.0 if look.copies is None else look.copies.value
        if look.upper <= self.settings.target or seen > WORTH * self.settings.target:
            return 0
        return certified_size(
            self.settings.target,
            seen,
            confidence=self.settings.confidence,
            candidates=self.settings.most_certificates,
        )

    def _tags(self, look: Look) -> dict[str, float]:
        """The numbers of a look under flat names."""
        numbers = {
            "loss_gap": look.gap,
            "holdout_loss": look.holdout_loss,
            "train_loss": look.train_loss,
            "stable_rank": look.stable_rank,
            "log_e": look.log_e,
            "copied_upper": look.upper,
            "overhead": self.overhead,
            "should_stop": float(self.should_stop),
            "phase": float(list(Phase).index(look.phase)),
        }
        if look.copies is not None:
            numbers["copied_fraction"] = look.copies.value
        for level in look.losses:
            numbers[f"loss_quantile_{level.quantile:.2f}"] = level.holdout
            numbers[f"train_loss_quantile_{level.quantile:.2f}"] = level.train
        return {f"memhorizon/{name}": value for name, value in numbers.items() if not math.isnan(value)}

    # --- failures and time ---

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


def _is_out_of_memory(error: Exception) -> bool:
    """Whether fewer items at once may help."""
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "out of memory" in str(error)
