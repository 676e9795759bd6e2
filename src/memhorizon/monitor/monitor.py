"""`Monitor`: watches a training from inside its loop, and says when to stop and what to ship."""

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from memhorizon.denoiser import Denoiser
from memhorizon.errors import InputError
from memhorizon.eval_mode import device_of_model, eval_mode, networks
from memhorizon.experiments.run import environment
from memhorizon.files.plain import check_path
from memhorizon.measure.items import Items
from memhorizon.monitor.certificate import certified_size, upper_limit
from memhorizon.monitor.choice import best_look, is_candidate
from memhorizon.monitor.copies import CopyFinder, Found
from memhorizon.monitor.isolation import isolated, synchronize
from memhorizon.monitor.keeping import BEST, RECORD, SHEETS, keep_bytes, keep_tensors, weights_of
from memhorizon.monitor.looks import LookPlan, Purse, next_step
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


class Monitor:
    """Watches a training: learning, in the window, or memorizing? And which checkpoint is to be shipped?

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
        self.root = None if root is None else check_path("root", root)
        self.finder = CopyFinder.of(self.sets.train, self.sets.holdout, target=target, seed=seed)
        self._probe = Probe.of(self.sets.train, self.sets.holdout, plan.n_probe, seed=seed)
        self._denoiser = denoiser
        self._log = log
        self._timer = timer
        self._warned: set[str] = set()
        self._clock: float | None = None
        self._memory = self._new_memory()
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
        begun = self._begin()
        looks = len(memory.looks)
        try:
            with isolated():
                self._look(step, model, force=force)
        except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
            self._report("look", f"step {step:,}: {type(error).__name__}: {error}")
            memory.due = next_step(step, self.settings.plan.ratio)
        finally:
            self._end(begun)
        return self.verdict if len(memory.looks) > looks else None

    def _begin(self) -> tuple[float, float]:
        """Count the time since the last look as training; return the time, and what was spent before."""
        with suppress(RuntimeError):
            synchronize()
        now = self._timer()
        purse = self._memory.purse
        purse.train_seconds += now - (now if self._clock is None else self._clock)
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
        denoiser = self._denoiser_of(model)
        losses = self._losses(denoiser, force=force)
        look = self._look_of(step, losses, denoiser)
        count, certified = self._samples_wanted(look, force=force)
        if count:
            look = self._with_samples(look, denoiser, count, certified=certified)
        memory.due = next_step(step, self._ratio(look))
        self._conclude(look, denoiser)

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

    def _losses(self, denoiser: Denoiser, *, force: bool) -> Losses | None:
        """The losses of this look; None where they cannot be paid for."""
        purse = self._memory.purse
        if not (force or purse.may_measure_losses()):
            return None
        with self._timed() as seconds, eval_mode(denoiser):
            device = device_of_model(denoiser)
            found = measure_losses(denoiser, self._probe, device=device, batch_size=self.settings.batch_size)
        purse.paid_losses(seconds[0])
        if not purse.per_sample:  # a sample takes as many calls as its solver has steps
            calls = self.settings.sampler.n_solver_steps * (1 + (self.settings.sampler.method == "heun"))
            purse.per_sample = seconds[0] / self._probe.evaluations * calls
        return found

    def _look_of(self, step: int, losses: Losses | None, denoiser: Denoiser) -> Look:
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
            stable_rank=stable_rank(networks(denoiser)),
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
        size = self._certified_size()
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

    def _certified_size(self) -> int:
        return certified_size(
            self.settings.target,
            self.finder.rule.null.value,
            confidence=self.settings.confidence,
            candidates=self.settings.most_certificates,
        )

    def _is_candidate(self, look: Look) -> bool:
        if self.sets.holdout is not None and math.isnan(look.holdout_loss):
            return False
        looks = self._memory.looks
        best = best_look(looks, self.settings.target)
        copying = self._memory.test.crossed
        return is_candidate(look.holdout_loss, looks, best=best, step=look.step, phase_is_copying=copying)

    def _with_samples(self, look: Look, denoiser: Denoiser, count: int, *, certified: bool) -> Look:
        """The look with fresh samples and what they show."""
        memory = self._memory
        seeds = memory.seeds(count)
        with self._timed() as seconds:
            samples = self._draw(denoiser, seeds)
            found = self.finder.find(samples)
        memory.purse.paid_samples(seconds[0], count, certified=certified)
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
            log_e=memory.test.log_e,
            sheet=sheet,
        )

    def _draw(self, denoiser: Denoiser, seeds: Sequence[int]) -> Tensor:
        samples = sample(
            denoiser,
            self.sets.item_shape,
            seeds=seeds,
            sampler=self.settings.sampler,
            batch_size=self.settings.batch_size,
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

    def _conclude(self, look: Look, denoiser: Denoiser) -> None:
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
        if self.root is not None:
            if best is not None and best is not before:
                self._keep(best, denoiser)
            with self._reported("record"):
                keep_bytes(to_text(self.record()).encode(), self.root / RECORD)
        if self._log is not None:
            with self._reported("log"):
                self._log(self._tags(look), look.step)

    def _keep(self, best: Look, denoiser: Denoiser) -> None:
        with self._reported("weights"):
            assert self.root is not None
            keep_tensors(weights_of(networks(denoiser)), self.root / BEST)
            self._memory.kept = best.step

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
