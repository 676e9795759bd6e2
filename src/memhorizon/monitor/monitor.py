"""`Monitor`: watches a training from inside its loop, and says when to stop and what to ship."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from memhorizon.checks import LARGEST, check_kind, check_whole
from memhorizon.denoiser import Denoiser
from memhorizon.errors import InputError
from memhorizon.experiments.environment import environment
from memhorizon.files.plain import check_path
from memhorizon.measure.items import Items
from memhorizon.monitor.answers import Answers, overhead_of
from memhorizon.monitor.concluding import Concluder
from memhorizon.monitor.copies import CopyFinder
from memhorizon.monitor.failures import Failures
from memhorizon.monitor.identity import Identity
from memhorizon.monitor.isolation import isolated
from memhorizon.monitor.judging import Judge
from memhorizon.monitor.keeper import Keeper
from memhorizon.monitor.keeping import usable_root
from memhorizon.monitor.looking import Looker
from memhorizon.monitor.looks import LookPlan
from memhorizon.monitor.metering import Meter
from memhorizon.monitor.probing import Prober
from memhorizon.monitor.sampling import Sampling
from memhorizon.monitor.settings import DEFAULT_SAMPLER, MonitorSets, MonitorSettings, split_off
from memhorizon.monitor.sheets import SheetItems
from memhorizon.monitor.state import Memory
from memhorizon.monitor.steps import Steps
from memhorizon.records.monitor import Best, Look, MonitorRecord, Stop, Verdict
from memhorizon.samplers import SamplerConfig

if TYPE_CHECKING:
    MakeDenoiser: TypeAlias = Callable[[object], Denoiser] | Denoiser | None
    Log: TypeAlias = Callable[[dict[str, float], int], object] | None
    Sampler: TypeAlias = SamplerConfig
    Plan: TypeAlias = LookPlan | None
    Folder: TypeAlias = str | os.PathLike[str] | None
    Timer: TypeAlias = Callable[[], float]
    Name: TypeAlias = str
    Step: TypeAlias = int
else:  # checked by `Monitor`
    MakeDenoiser = Log = Sampler = Plan = Folder = Timer = Name = Step = object


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

    Attributes:
        settings: what was asked for.
        sets: that the training is compared with.
        finder: of copies.
        root: folder for what is kept; None to keep nothing.
        name: of the training.
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
        most_certificates: int = 5,
        batch_size: int = 256,
        n_updates: int | None = None,
        name: Name = "",
        timer: Timer = perf_counter,
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
            most_certificates: looks that may be certified; K of the certificate is twice as many.
            batch_size: items per call of the network.
            n_updates: planned length of the training, where it is known: the budget is then a share of the
                time of all of it, spent evenly in the logarithm of the steps; None: of the time so far.
            name: of the training, for the record.
            timer: gives the time in seconds.

        Raises:
            InputError: naming the argument, if the sets cannot be used or an option is none.
        """
        _check_functions(denoiser, log, timer)
        check_kind("name", name, str)
        self.settings = MonitorSettings(
            target,
            confidence,
            budget,
            sampler,
            LookPlan() if plan is None else plan,
            most_certificates,
            batch_size,
            seed,
        )
        self.root = None if root is None else usable_root(check_path("root", root))
        if n_updates is not None:
            n_updates = check_whole("n_updates", n_updates, least=1, most=LARGEST - 1)
        self.name = name
        self.sets = MonitorSets.of(train, holdout)
        self.finder = CopyFinder.of(self.sets.train, self.sets.holdout, target=target, seed=seed)
        self._memory = Memory.at_first(self.settings, self.finder.rule.allowed)
        self._failures = Failures()
        self._steps = Steps(self._failures)
        self._meter = Meter(timer, first=self.settings.plan.first, n_updates=n_updates)
        self._make_parts(denoiser, log, n_updates)

    def _make_parts(self, denoiser: MakeDenoiser, log: Log, n_updates: int | None) -> None:
        """Make what measures, keeps, answers, draws samples, concludes and looks, each of those before it."""
        settings = self.settings
        sets = self.sets
        rule = self.finder.rule
        meter = self._meter
        failures = self._failures
        prober = Prober(settings, sets, meter, n_updates)
        keeper = Keeper(self.root, failures, sets.limits)
        judge = Judge(settings, sets, rule)
        answers = Answers(settings, sets, rule, self.root, self.name, environment())
        sampling = Sampling(settings, sets, self.finder, judge, keeper, meter, failures)
        concluder = Concluder(settings, rule.allowed, log, sampling, keeper, answers, meter, failures)
        self._identity = Identity(settings, sets)
        self._prober = prober
        self._keeper = keeper
        self._answers = answers
        self._sampling = sampling
        self._concluder = concluder
        self._looker = Looker(settings, denoiser, prober, sampling, concluder, failures, settings.batch_size)

    def update(self, step: Step, model: object = None) -> Verdict | None:
        """Look at the training if a look is due; microseconds where none is.

        Args:
            step: updates done so far; what is none is passed over, with a warning.
            model: the network, or what `denoiser` takes (give the averaged weights if these are shipped);
                None where `denoiser` is a Denoiser around it.

        Returns:
            The verdict if there was a look; None otherwise.
        """
        self._meter.start()
        memory = self._memory
        whole = self._steps.read(step, memory)
        if whole is None or whole < memory.due:
            return None
        return self._after(self._looker.look, whole, model)

    def certify(self, step: Step, model: object = None) -> Verdict | None:
        """Certify a checkpoint now, whatever is due and whatever the budget: one of the K certified looks.

        For the end of a training, or for weights that were kept: load them, then call this.

        Args:
            step: of the checkpoint; one below that of the last look is warned of, and not
                looked at.
            model: as for `update`.
        """
        self._meter.start()
        memory = self._memory
        whole = self._steps.read(step, memory)
        if whole is None:
            return None
        if memory.looks and whole < memory.looks[-1].step:
            last = memory.looks[-1].step
            words = (
                f"certify: step {whole:,} lies before the last look, at step {last:,}; it is not certified"
            )
            self._failures.note(memory, "certify too late", words)
            return None
        return self._after(self._looker.certify, whole, model)

    def _after(self, look: Callable[[Memory, int, object], None], step: int, model: object) -> Verdict | None:
        """The verdict after a look; None where there was none."""
        memory = self._memory
        looks = len(memory.looks)
        with self._meter.aside(memory.purse, step):
            look(memory, step, model)
        return memory.verdict if len(memory.looks) > looks else None

    def finish(self, model: object = None) -> Best | None:
        """Certify the checkpoint with the smallest held-out loss, if the best one is not as good.

        To be called when the training is over; writes all files that are not written yet. Within its budget
        the monitor may not have been able to draw the samples of a certificate at the right moment; so it
        kept the weights of that checkpoint, and of one before it for where that one copies (in `root`; in
        memory without one, each up to 256 MB). They are put into the network, samples are drawn, and the
        weights that it had are put back. Takes as long as some 500 to 1,000 samples do, at most twice. Where
        a stop leaves enough of the budget this was done at the stop. A training that had no look yet is
        looked at, and certified, at its last step.

        Args:
            model: as for `update`.

        Returns:
            The best checkpoint, as `best`.
        """
        memory = self._memory
        if not memory.looks and self._steps.last >= 0:
            self._after(self._looker.certify, self._steps.last, model)
        with self._meter.aside(memory.purse, 0), self._failures.noted(memory, "finish"), isolated():
            self._concluder.finish(memory, self._looker.subject(model))
        if not (memory.looks or memory.failures):
            words = (
                "finish: no step of this training was told, so no checkpoint has a certificate: call "
                "update(step, model) in the loop, or certify(step, model) before"
            )
            self._failures.once(memory, "no look", words)
        self._keeper.write_record(memory, self._answers.record)  # with the time that this took
        self._keeper.release()
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
        return self._answers.best(self._memory)

    @property
    def history(self) -> tuple[Look, ...]:
        """What was seen, one row for each look."""
        return tuple(self._memory.looks)

    @property
    def overhead(self) -> float:
        """Time of the monitor as a share of the time of training up to the last look; NaN before it."""
        return overhead_of(self._memory)

    @property
    def last_sheet(self) -> SheetItems | None:
        """The latest contact sheet; None before the first."""
        return self._sampling.last_sheet

    def record(self) -> MonitorRecord:
        """Everything that was seen, as it is written to a file."""
        return self._answers.record(self._memory)

    def state_dict(self) -> dict[str, object]:
        """Everything that a resumed training needs, as plain values and tensors."""
        self._keeper.exported(self._memory)
        return self._memory.state_dict() | {"of": self._identity.entries()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from a state; the looks that follow are those of the training that was not interrupted.

        Raises:
            InputError: if it is the state of no monitor, or of another training: other images or settings.
        """
        memory = Memory.of_state(state)
        self._identity.check(state)
        self._memory = memory
        self._steps.resume(memory)
        self._keeper.candidates = {}
        if self.root is None:  # weights in memory are no part of a state
            self._memory.candidates = []
        self._prober.resume(self._memory)
        self._meter.forget()

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the page of this training: one file, no script, nothing loaded from elsewhere.

        Args:
            path: of the HTML file.

        Raises:
            InputError: if no file can be written at `path`, be it that the disk is full.
        """
        from importlib import import_module  # the page is above this package

        write = import_module("memhorizon.report.monitor_page").write
        place = check_path("path", path)
        try:
            return write(self.record(), place, root=self.root)
        except OSError as error:
            raise InputError(f"path: cannot write {str(place)!r}: {error.strerror}") from error

    def __repr__(self) -> str:
        return f"Monitor({self.verdict.phase}, {len(self.history)} looks)"

    @staticmethod
    def split_off(items: Items, *, share: float = 0.15, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Divide images into those to train on and those to hold out: see `settings.split_off`."""
        return split_off(items, share=share, seed=seed)


def _check_functions(denoiser: MakeDenoiser, log: Log, timer: Timer) -> None:
    """Refuse what cannot be called."""
    if log is not None and not callable(log):
        raise InputError(f"log: expected a function log(dict, step), got {type(log).__name__}")
    if not callable(timer):
        raise InputError(f"timer: expected a function that gives seconds, got {type(timer).__name__}")
    if denoiser is not None and not callable(denoiser):
        raise InputError(f"denoiser: expected a function of the model, got {type(denoiser).__name__}")
