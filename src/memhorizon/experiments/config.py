"""The whole configuration of a run: nested frozen dataclasses, to and from JSON, with a stable key."""

import json
import re
import types
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from numbers import Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from memhorizon.checks import check_flag, check_number, check_tuple, check_whole
from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.files.plain import digest, parse_json
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.samplers import SamplerConfig, check_last_level
from memhorizon.schedule import Schedule, ScheduleConfig
from memhorizon.training import OptimizerConfig, TrainConfig

LARGEST = 2**63  # integers of a configuration are below


@dataclass(frozen=True)
class MeasureConfig:
    """What is measured at every snapshot, and when snapshots are taken.

    Attributes:
        snapshots: how many, spaced evenly in the logarithm of the step.
        first: step of the first snapshot.
        n_samples: samples generated at each snapshot for f_mem and quality.
        sampler: how they are generated.
        threshold: a sample is a copy where d1 / d2 is below.
        diffusion_times: diffusion times at which the losses are measured.
        repeats: fixed noises per item in the losses.
        n_train_loss: at most this many training items enter the losses.
        keep: whether snapshots stay on disk, to be measured again later.
    """

    snapshots: int = 30
    first: int = 50
    n_samples: int = 1000
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    threshold: float = 1 / 3
    diffusion_times: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0)
    repeats: int = 5
    n_train_loss: int = 2048
    keep: bool = True

    def __post_init__(self) -> None:
        for name in ("snapshots", "first", "repeats", "n_train_loss"):
            check_whole(name, getattr(self, name), least=1, most=LARGEST - 1)
        check_whole("n_samples", self.n_samples, least=0, most=LARGEST - 1)
        check_number("threshold", self.threshold, above=0, below=1)
        check_flag("keep", self.keep)
        self._check_times()

    def _check_times(self) -> None:
        """Refuse what are no diffusion times, and times whose curves would have the same name."""
        check_tuple("diffusion_times", self.diffusion_times)
        for t in self.diffusion_times:
            check_number("diffusion_times", t, above=0)
        names = [time_name(t) for t in self.diffusion_times]
        if not names or len(set(names)) < len(names):
            wanted = "at least one diffusion time, none of them twice (to six digits)"
            raise InputError(f"diffusion_times: expected {wanted}, got {self.diffusion_times}")


def time_name(t: float) -> str:
    """A diffusion time as the names of curves have it."""
    return f"{float(t):g}"


@dataclass(frozen=True)
class Config:
    """One run.

    Attributes:
        data: which items, how many.
        model: which network.
        schedule: which noise schedule.
        optimizer: which optimizer.
        train: how long.
        measure: what is looked at, and when.
        seed: of the initial weights, the batches and the noise.
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: UNetConfig | MLPConfig | FeaturesConfig = field(default_factory=UNetConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("seed", self.seed, least=0, most=LARGEST - 1)
        if self.measure.first > self.train.n_updates:
            raise InputError(
                f"measure.first: expected at most train.n_updates = {self.train.n_updates}, "
                f"got {self.measure.first}"
            )
        self._check_levels()

    def _check_levels(self) -> None:
        """Refuse now what would be refused at the first snapshot, or at the first unlucky batch."""
        schedule = self.schedule.build()
        if self.measure.sampler.n_solver_steps > len(schedule):
            got = f"{self.measure.sampler.n_solver_steps} for schedule.n_levels = {len(schedule)}"
            raise InputError(
                f"measure.sampler.n_solver_steps: expected at most one per noise level, got {got}"
            )
        if self.measure.n_samples:
            check_last_level(schedule)
        if self.train.diffusion_time is None:
            _check_times("measure.diffusion_times", self.measure.diffusion_times, schedule)
        else:
            _check_times("train.diffusion_time", (self.train.diffusion_time,), schedule)

    @property
    def key(self) -> str:
        """A name for its directory: what one looks for first, then a hash of everything."""
        model = type(self.model).__name__.removesuffix("Config").lower()
        width = getattr(self.model, "width", None) or getattr(self.model, "n_features", "")
        return f"{self.data.name}-n{self.data.n_train}-{model}{width}-seed{self.seed}-{_short(to_json(self))}"


def measured_times(config: Config) -> tuple[float, ...]:
    """Where losses are measured: a network that was trained at one time only is measured there."""
    return (
        config.measure.diffusion_times
        if config.train.diffusion_time is None
        else (config.train.diffusion_time,)
    )


def _check_times(name: str, times: tuple[float, ...], schedule: Schedule) -> None:
    """Refuse diffusion times that the schedule does not reach."""
    for t in times:
        try:
            schedule.index_of_t(t)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error


def _short(text: str) -> str:
    return digest(text.encode()).removeprefix("sha256:")[:8]


def name_fits(name: str, tree: Any) -> bool:
    """Whether a directory of this name can be that of the configuration, given as plain values.

    A name that does not end as a key does was given by hand, and says nothing.
    """
    found = re.search(r"-([0-9a-f]{8})$", name)
    return found is None or found[1] == _short(_dumps(tree))


def to_json(config: Any) -> str:
    """Write a configuration, with a `kind` where several classes could stand."""
    return _dumps(encode(config))


def _dumps(tree: Any) -> str:
    return json.dumps(tree, indent=1, sort_keys=True)


def from_json(text: str, kind: type = Config) -> Any:
    """Read a configuration back.

    Raises:
        InputError: if the text is no JSON or has unknown, missing or wrong entries; the entry is named.
    """
    return decode(parse_json(text, "configuration"), kind)


def decode(tree: Any, kind: type = Config) -> Any:
    """Build a configuration from plain values.

    Raises:
        InputError: if they have unknown, missing or wrong entries; the entry is named.
    """
    return _decode(tree, kind, "config")


def encode(value: Any) -> Any:
    """Turn a configuration into plain values, tagged with their `kind`."""
    if is_dataclass(value) and not isinstance(value, type):
        entries = {f.name: encode(getattr(value, f.name)) for f in fields(value)}
        return {"kind": type(value).__name__} | entries
    if isinstance(value, tuple | list):
        return [encode(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Real) and not isinstance(value, int | float):  # a fraction, for one
        return float(value)
    return value


def _decode(value: Any, hint: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _decode_dataclass(value, hint, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(value, arguments, where)
    if origin is Literal:
        if value not in arguments:
            raise InputError(f"{where}: expected one of {arguments}, got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where}: expected a list, got {value!r}")
        inner = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(inner) != len(value):
            raise InputError(f"{where}: expected {len(inner)} entries, got {value!r}")
        pairs = enumerate(zip(value, inner, strict=True))
        return tuple(_decode(v, h, f"{where}[{i}]") for i, (v, h) in pairs)
    number = hint is float and isinstance(value, int) and not isinstance(value, bool)
    if not number and type(value) is not hint:
        raise InputError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {repr(value)[:60]}")
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise InputError(f"{where}: expected a number below 2**63, got one of {value.bit_length()} bits")
    return value


def _decode_union(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    kinds: dict[str, Any] = {str(hint.__name__): hint for hint in hints if isinstance(hint, type)}
    kinds = {name: hint for name, hint in kinds.items() if is_dataclass(hint)}
    if kinds and isinstance(value, dict):
        if value.get("kind") not in kinds:
            raise InputError(f"{where}.kind: expected one of {sorted(kinds)}, got {value.get('kind')!r}")
        return _decode_dataclass(value, kinds[value["kind"]], where)
    if value is None and type(None) in hints:
        return None
    return _decode(value, next(hint for hint in hints if hint is not type(None)), where)


def _decode_dataclass(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object with the entries of {kind.__name__}, got {value!r}")
    known = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    given = {k: v for k, v in value.items() if k != "kind" or k in known}  # a schedule has a kind of its own
    if unknown := sorted(set(given) - set(known)):
        raise InputError(f"{where}: unknown entries {unknown}; known are {sorted(known)}")
    required = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(required - set(given)):
        raise InputError(f"{where}: missing entries {missing}")
    return kind(**{name: _decode(v, hints[name], f"{where}.{name}") for name, v in given.items()})


def flat(config: Config) -> dict[str, Any]:
    """Return the configuration as one row of a table, `data.n_train` and so on.

    >>> flat(Config())["data.n_train"]
    128
    """

    def walk(prefix: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {prefix: value}
        parts = [walk(f"{prefix}.{key}".lstrip("."), part) for key, part in value.items()]
        return {key: entry for part in parts for key, entry in part.items()}

    return {**walk("", asdict(config)), "model.kind": type(config.model).__name__}
