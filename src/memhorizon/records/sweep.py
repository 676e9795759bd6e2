"""What a sweep found, as one typed value: runs with their curves and times, and the laws over them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from memhorizon.errors import InputError
from memhorizon.records.plain import Plain
from memhorizon.results import LAW_STATUSES, Curve, Estimate, Fraction, ScalingLaw, Status, Timescales
from memhorizon.timescales.rules import Rules


@dataclass(frozen=True)
class Duplicates:
    """Groups of equal and nearly equal items of a data set.

    Attributes:
        rule: how they were found, in words.
        items: items that have a duplicate.
        groups: groups of more than one item.
        largest: items of the largest group.
        left_out_of_holdout: held-out items that were duplicates of training items.
        left_out_of_training: training items that were duplicates of held-out items.
    """

    rule: str = ""
    items: int = 0
    groups: int = 0
    largest: int = 1
    left_out_of_holdout: int = 0
    left_out_of_training: int = 0


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class DataFacts:
    """What is known of the items of a run.

    Attributes:
        fingerprint: of the items, training and held-out, values and order; empty where unknown.
        n_train: training items.
        n_holdout: held-out items; None where unknown.
        n_files: files that were found; None where the items are no files.
        duplicates: groups of equal items; None where they were not looked for.
        skipped: the first files that could not be read.
        n_skipped: how many could not be read.
        ignored: how many files were passed over, by suffix.
    """

    fingerprint: str = ""
    n_train: int | None = None
    n_holdout: int | None = None
    n_files: int | None = None
    duplicates: Duplicates | None = None
    skipped: tuple[Skipped, ...] = ()
    n_skipped: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class RunRecord:
    """One run.

    Attributes:
        key: its name, that of its directory.
        n_train: training items.
        seed: of weights, batches and noise.
        factors: what may vary in a sweep, by the names of `experiments.hyperparameters`; None is what the
            network or the optimizer lacks.
        config: the whole configuration as config.json has it; whatever the user gave for a network of theirs.
        environment: versions, system and device that made it.
        data: what is known of its items.
        curves: "memorized", "holdout@0.1", "train@0.1", "gap@0.1", "frechet", ...
        null: share of held-out items that count as copies; None without held-out items.
        timescales: tau_gen, tau_mem and others, with intervals.
        n_updates: the step that it is to end at; 0 where unknown.
        notes: what limits the numbers of a curve, by its name ("frechet": "biased: ...").
    """

    key: str
    n_train: int
    seed: int
    factors: Mapping[str, float | int | str | None]
    config: Mapping[str, Plain]
    environment: Mapping[str, Plain]
    data: DataFacts
    curves: Mapping[str, Curve]
    null: Fraction | None
    timescales: Timescales
    n_updates: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Key, number of curves and both timescales."""
        times = f"tau_gen {self.timescales.tau_gen}, tau_mem {self.timescales.tau_mem}"
        return f"RunRecord({self.key!r}, {len(self.curves)} curves, {times})"

    def factor(self, name: str) -> float | int | str | None:
        """What the run has of a hyperparameter, n_train and seed included; None where it has none."""
        return {"n_train": self.n_train, "seed": self.seed}.get(name, self.factors.get(name))


@dataclass(frozen=True)
class Contrast:
    """How much later a time comes at one value of a hyperparameter than at its smallest, seed by seed.

    Attributes:
        factor: the hyperparameter.
        reference: its smallest value.
        value: the value that is compared with it.
        timescale: "tau_gen" or "tau_mem".
        ratio: of the times, with its interval; None where it is not known.
        observed: times that were observed.
        censored: times that entered as bounds.
        status: how it was found.
        note: details of the status.
        left_out: pairs that have no time.
        at_least: a lower bound of the ratio where no time above was reached.
    """

    factor: str
    reference: float
    value: float
    timescale: str
    ratio: Estimate | None
    observed: int
    censored: int
    status: Status
    note: str = ""
    left_out: int = 0
    at_least: float | None = None

    def __post_init__(self) -> None:
        if self.timescale not in ("tau_gen", "tau_mem"):
            raise InputError(f"timescale: expected tau_gen or tau_mem, got {str(self.timescale)[:60]!r}")
        if self.status not in LAW_STATUSES:
            raise InputError(
                f"status: expected one of {', '.join(LAW_STATUSES)}, got {str(self.status)!r:.60}"
            )
        object.__setattr__(self, "status", Status(self.status))
        bounds = (self.reference, self.value, 0.0 if self.at_least is None else self.at_least)
        if not all(math.isfinite(number) for number in bounds):
            raise InputError(f"contrast: expected finite values of {self.factor!r:.60}, got {bounds}")


@dataclass(frozen=True)
class LeftOut:
    """A run that is not in a record, and why."""

    key: str
    reason: str


@dataclass(frozen=True, repr=False)
class SweepRecord:
    """Runs that compare, and what follows from them.

    Attributes:
        name: of the record.
        command: that made it.
        rules: by which the times were read.
        runs: at least one.
        laws: power laws by "tau_gen", "tau_mem" and "passes" (tau_mem in passes over the training set).
        collapse: how far the curves of f_mem fall apart in each unit of time ("steps / n_train", ...).
        collapse_note: why there is no collapse, where there is none.
        contrasts: of the one hyperparameter that is varied, where it is no power.
        left_out: runs that are not in it.
        differs: for a record among `others`, the settings in which it differs from the first, by dotted name.
        others: further groups of runs that do not compare with these; only the first record has some.
        claim: what the sweep was to show.
        size: "here", "tiny" or "paper" for a recipe.
        seconds: time that it took; None where unknown.
        made: date and time (UTC), where known.
    """

    name: str
    command: str
    rules: Rules
    runs: tuple[RunRecord, ...]
    laws: Mapping[str, ScalingLaw] = field(default_factory=dict)
    collapse: Mapping[str, Estimate] = field(default_factory=dict)
    collapse_note: str = ""
    contrasts: tuple[Contrast, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    differs: Mapping[str, Plain] = field(default_factory=dict)
    others: "tuple[SweepRecord, ...]" = ()  # quoted as a whole: Python 3.10 looks up no part
    claim: str = ""
    size: str = ""
    seconds: float | None = None
    made: str = ""

    def __repr__(self) -> str:
        """Name, number of runs and laws."""
        laws = "".join(f", {name} ~ {law}" for name, law in self.laws.items())
        return f"SweepRecord({self.name!r}, {len(self.runs)} runs{laws})"
