"""The whole configuration of a run: nested frozen dataclasses, to and from JSON, with a stable key."""

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from memhorizon.checks import check_whole
from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.files.plain import digest, parse_json
from memhorizon.measure.snapshot import MeasureConfig as MeasureConfig
from memhorizon.measure.snapshot import time_name as time_name
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.records import codec
from memhorizon.records.codec import encode as encode
from memhorizon.samplers import check_last_level
from memhorizon.schedule import Schedule, ScheduleConfig
from memhorizon.training import OptimizerConfig, TrainConfig

LARGEST = codec.LARGEST_INTEGER  # integers of a configuration are below
T = TypeVar("T")


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


def name_fits(name: str, tree: object) -> bool:
    """Whether a directory of this name can be that of the configuration, given as plain values.

    A name that does not end as a key does was given by hand, and says nothing.
    """
    found = re.search(r"-([0-9a-f]{8})$", name)
    return found is None or found[1] == _short(_dumps(tree))


def to_json(config: object) -> str:
    """Write a configuration, with a `kind` where there are several classes."""
    return _dumps(encode(config))


def _dumps(tree: object) -> str:
    return json.dumps(tree, indent=1, sort_keys=True)


def from_json(text: str, kind: type[T] = Config) -> T:
    """Read a configuration back.

    Raises:
        InputError: if the text is no JSON or has unknown, missing or wrong entries; the entry is named.
    """
    return decode(parse_json(text, "configuration"), kind)


def decode(tree: object, kind: type[T] = Config) -> T:
    """Build a configuration from plain values.

    Raises:
        InputError: if they have unknown, missing or wrong entries; the entry is named.
    """
    return codec.decode(tree, kind, "config")


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
