"""The whole configuration of a run: nested frozen dataclasses, to and from JSON, with a stable key."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from memhorizon.checks import check_whole
from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.files.plain import digest, parse_json
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.records.codec import LARGEST_INTEGER, decode, encode, encode_object, show
from memhorizon.records.files import FORMAT, VERSION
from memhorizon.records.plain import Plain
from memhorizon.records.upgrade import upgrade_config
from memhorizon.samplers import check_last_level
from memhorizon.schedule import Schedule, ScheduleConfig
from memhorizon.training import OptimizerConfig, TrainConfig

LARGEST = LARGEST_INTEGER  # integers of a configuration are below
KIND = "config"  # in the file of a configuration
HEADER = {"format": FORMAT, "version": VERSION, "kind": KIND}  # of such a file
NETWORKS = (UNetConfig, MLPConfig, FeaturesConfig)
PARTS: Mapping[str, type] = {  # beside the network
    "data": DataConfig,
    "schedule": ScheduleConfig,
    "optimizer": OptimizerConfig,
    "train": TrainConfig,
    "measure": MeasureConfig,
}


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
        self._check_parts()
        check_whole("seed", self.seed, least=0, most=LARGEST - 1)
        self._check_first()
        self._check_time_of_features()
        self._check_levels()

    def _check_parts(self) -> None:
        """Refuse a part of another kind; of a network that is none of these it says what to do instead."""
        self._check_network()
        for name, kind in PARTS.items():
            _check_part(name, getattr(self, name), kind)

    def _check_network(self) -> None:
        if not isinstance(self.model, NETWORKS):
            wanted = ", ".join(kind.__name__ for kind in NETWORKS)
            raise InputError(
                f"model: expected one of {wanted}, got {type(self.model).__name__}; train it in your "
                "training loop, and write what you see with mh.RunWriter: sweeps, records and "
                "pages read it like any other run"
            )

    def _check_first(self) -> None:
        """Refuse a first look after the last update."""
        if self.measure.first > self.train.n_updates:
            raise InputError(
                f"measure.first: expected at most train.n_updates = {self.train.n_updates}, "
                f"got {self.measure.first}"
            )

    def _check_time_of_features(self) -> None:
        """Refuse random features that are trained at other times than the one at which they hold."""
        if isinstance(self.model, FeaturesConfig) and self.train.diffusion_time != self.model.t:
            wanted = f"model.t = {self.model.t:g}, for random features hold at one time alone"
            raise InputError(f"train.diffusion_time: expected {wanted}, got {self.train.diffusion_time}")

    def _check_levels(self) -> None:
        """Refuse now what would be refused at the first snapshot, or at the first unlucky batch."""
        schedule = self.schedule.build()
        self._check_solver_steps(len(schedule))
        if self.measure.n_samples:
            check_last_level(schedule)
        self._check_diffusion_times(schedule)

    def _check_solver_steps(self, levels: int) -> None:
        if self.measure.sampler.n_solver_steps > levels:
            got = f"{self.measure.sampler.n_solver_steps} for schedule.n_levels = {levels}"
            raise InputError(
                f"measure.sampler.n_solver_steps: expected at most one per noise level, got {got}"
            )

    def _check_diffusion_times(self, schedule: Schedule) -> None:
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


def _check_part(name: str, part: object, kind: type) -> None:
    if not isinstance(part, kind):
        raise InputError(f"{name}: expected a {kind.__name__}, got {type(part).__name__}")


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
    found = _hash_in(name)
    return found is None or found == _short(_dumps(tree))


def _hash_in(name: str) -> str | None:
    """What a key ends in."""
    found = re.search(r"-([0-9a-f]{8})$", name)
    return found[1] if found else None


def is_of_older_run(name: str, text: str, config: Config) -> bool:
    """Whether a configuration was read from a directory that older code named: today's has another name.

    Args:
        name: of the directory.
        text: of the file in it.
        config: what the file says.
    """
    known = _hash_in(name) is not None and name_fits(name, parse_json(text, "configuration"))
    return known and name != config.key


def to_json(config: Config) -> str:
    """Write a configuration, with a `kind` where it may be one of several classes."""
    return _dumps({**HEADER, **encode_object(config)})


def _dumps(tree: object) -> str:
    return json.dumps(tree, indent=1, sort_keys=True)


def from_json(text: str) -> Config:
    """Read a configuration back; files of version 0.1 are read as well.

    Raises:
        InputError: if the text is no JSON or has unknown, missing or wrong entries; the entry is named.
    """
    return config_of(parse_json(text, "configuration"))


def config_of(tree: object) -> Config:
    """Build a configuration from the plain values of its file.

    Raises:
        InputError: if they have unknown, missing or wrong entries; the entry is named.
    """
    if not isinstance(tree, Mapping):
        raise InputError(f"config: expected an object with the parts of a configuration, got {show(tree)}")
    return decode(upgrade_config(_without_header(tree)), Config, "config")


def settings_of(tree: object) -> MeasureConfig:
    """Build the settings of the measures from the plain values of their row, of any version.

    Raises:
        InputError: if they have unknown, missing or wrong entries; the entry is named.
    """
    return decode(upgrade_config({"measure": tree})["measure"], MeasureConfig, "settings")


def _without_header(tree: Mapping[str, object]) -> dict[str, object]:
    """The entries of a configuration; version 0.1 wrote no header."""
    if "format" in tree:
        _check_header(tree)
    return {name: entry for name, entry in tree.items() if name not in HEADER}


def _check_header(tree: Mapping[str, object]) -> None:
    for name, wanted in HEADER.items():
        if tree.get(name) != wanted:
            raise InputError(f"config.{name}: expected {wanted!r}, got {show(tree.get(name))}")


def flat(config: Config) -> dict[str, Plain]:
    """Return the configuration as one row of a table, `data.n_train` and so on.

    >>> flat(Config())["data.n_train"]
    128
    """
    return flattened(encode_object(config))


def flattened(tree: Mapping[str, object], prefix: str = "") -> dict[str, Plain]:
    """Plain values within one another as one row, named by their place.

    >>> flattened({"train": {"ema": 0.9}, "seed": 1})
    {'train.ema': 0.9, 'seed': 1}
    """
    row: dict[str, Plain] = {}
    for name, entry in tree.items():
        if isinstance(entry, Mapping):
            row |= flattened(entry, f"{prefix}{name}.")
        else:
            row[f"{prefix}{name}"] = encode(entry)
    return row
