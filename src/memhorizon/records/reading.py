"""What figures and pages read of a sweep, beside the entries of its types.

In place of the subscripts of version 1: `run["times"]["tau_gen"]` is `run.timescales.tau_gen`, `run["lr"]` is
`run.factor("lr")`, `record["rules"]["t"]` is `record.rules.t`, `record["laws"]["tau_mem"]` is `law_of`, the
name of the curve that tau_gen is read from is `record.rules.curve`, and an entry of a configuration is
`entry_of`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from memhorizon.errors import InputError
from memhorizon.records.codec import decode, show, word
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Curve, ScalingLaw
from memhorizon.timescales.levels import level_by

POINTS = ("gaussian", "mixture")  # data that are no images


@dataclass(frozen=True)
class SamplerFacts:
    """How samples were made: the method, and how many steps it took."""

    method: str
    n_solver_steps: int


@dataclass(frozen=True)
class MeasureFacts:
    """How snapshots were measured, as far as a page tells it.

    Attributes:
        threshold: a sample is a copy where d1 / d2 is below.
        sampler: how samples were made.
        keep: whether the weights of snapshots were kept.
    """

    threshold: float
    sampler: SamplerFacts
    keep: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold: expected a number in (0, 1], got {self.threshold}")


@dataclass(frozen=True)
class _ConfigFacts:
    """The parts of a configuration that are read from a record."""

    data: Mapping[str, Plain] = field(default_factory=dict)
    measure: Mapping[str, Plain] = field(default_factory=dict)


# --- of a run ---


def null_of(run: RunRecord) -> float:
    """The share of held-out items that count as copies; 0 without held-out items."""
    return 0.0 if run.null is None else run.null.value


def last_step(run: RunRecord) -> int:
    """The last step that was measured."""
    return int(max((curve.step[-1] for curve in run.curves.values()), default=0))


def entry_of(run: RunRecord, name: str) -> Plain:
    """An entry of the configuration by its dotted name, such as "data.path"; None where there is none."""
    entry: object = run.config
    for part in name.split("."):
        entry = entry.get(part) if isinstance(entry, Mapping) else None
    return entry  # pyright: ignore[reportReturnType]


def part_of(run: RunRecord, name: str) -> Mapping[str, Plain]:
    """A part of the configuration, such as "model"; empty where there is none."""
    part = run.config.get(name)
    return part if isinstance(part, Mapping) else {}  # pyright: ignore[reportReturnType]


def measured_by(run: RunRecord) -> MeasureFacts | None:
    """How the snapshots of a run were measured; None where its record does not tell.

    Raises:
        InputError: if an entry is missing or of another type.
    """
    measure = run.config.get("measure")
    if not measure:
        return None
    return decode(measure, MeasureFacts, f"run {word(run.key)}: config.measure", others=True)


def data_name(run: RunRecord) -> str:
    """The name of the data of a run; empty where its record does not tell.

    Raises:
        InputError: if it is no text.
    """
    name = entry_of(run, "data.name")
    if not (name is None or isinstance(name, str)):
        raise InputError(f"run {word(run.key)}: config.data.name: expected text, got {show(name)}")
    return name or ""


def check_config(run: RunRecord) -> None:
    """Refuse a configuration of which an entry that pages read is of another type.

    Raises:
        InputError: naming the entry.
    """
    decode(run.config, _ConfigFacts, f"run {word(run.key)}: config", others=True)
    measured_by(run)
    data_name(run)


# --- of a sweep ---


def known_curves(runs: Iterable[RunRecord], name: str) -> list[Curve]:
    """The curve called `name` of those runs that have it."""
    return [run.curves[name] for run in runs if name in run.curves]


def level_of(record: SweepRecord) -> float | None:
    """The level of quality that tau_gen was read at; None where it was read of no run.

    It follows from the rules of the record and the curves of its runs, as where the times were read.
    """
    if not any(run.timescales.tau_gen.known for run in record.runs):
        return None
    name = record.rules.curve
    measured = [run for run in record.runs if name in run.curves]
    curves = [run.curves[name] for run in measured]
    predicts_noise = all(entry_of(run, "train.prediction") == "noise" for run in measured)
    return level_by(record.rules, curves, predicts_noise=predicts_noise).value


def law_of(record: SweepRecord, timescale: str) -> ScalingLaw | None:
    """The fitted law of "tau_gen", "tau_mem" or "passes"; None where nothing was or could be fitted."""
    law = record.laws.get(timescale)
    return law if law is not None and law.fitted else None


def unfinished(record: SweepRecord) -> list[RunRecord]:
    """Runs that were not yet measured up to the step that they are to end at."""
    return [run for run in record.runs if last_step(run) < run.n_updates]


def has_images(record: SweepRecord) -> bool:
    """Whether the items are images."""
    return not any(data_name(run) in POINTS for run in record.runs)
