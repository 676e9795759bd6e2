"""What is known of a run whose training is the user's: its config.json, beside that of `config.Config`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import TypeGuard

from memhorizon.checks import check_whole
from memhorizon.errors import InputError
from memhorizon.experiments.config import LARGEST, flattened
from memhorizon.experiments.hyperparameters import HYPERPARAMETERS
from memhorizon.measure.config import MeasureConfig
from memhorizon.records.codec import LARGEST as LARGEST_NUMBER
from memhorizon.records.codec import check_plain, decode, encode, encode_object
from memhorizon.records.files import FORMAT, VERSION
from memhorizon.records.plain import Plain

KIND = "written"  # in the file
TAKEN = ("n_train", "seed")  # they are no factors: the writer knows them
# what a row of `Sweep.frame` has beside the factors
ANSWERS = re.compile("key|null|tau_(gen|mem)(_(low|high|status))?")


@dataclass(frozen=True)
class WrittenConfig:
    """A run that `RunWriter` writes.

    Attributes:
        n_train: number of training items.
        n_holdout: number of held-out items.
        fingerprint: of the items of both sets.
        seed: of the training, as its user says.
        factors: what the runs of a sweep differ in: hyperparameters by name, or anything else.
        config: whatever else is worth knowing; runs that differ in it are not compared.
        measure: how snapshots are measured.
        n_updates: the step that training is to end at; 0 where unknown.
        qualities: names of the user's measures of the samples; None in files that do not say.
    """

    n_train: int
    n_holdout: int
    fingerprint: str
    seed: int = 0
    factors: Mapping[str, float | int | str | None] = field(default_factory=dict)
    config: Mapping[str, Plain] = field(default_factory=dict)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    n_updates: int = 0
    qualities: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_whole("seed", self.seed, least=0, most=LARGEST - 1)
        check_whole("n_updates", self.n_updates, least=0, most=LARGEST - 1)
        if not isinstance(self.measure, MeasureConfig):
            raise InputError(f"settings: expected a MeasureConfig, got {type(self.measure).__name__}")
        object.__setattr__(self, "factors", _factors(self.factors))
        object.__setattr__(self, "config", _plain(self.config))

    def entries(self) -> dict[str, Plain]:
        """Everything by dotted name, hyperparameters where the configurations of other runs have them.

        >>> WrittenConfig(16, 8, "sha256:0", factors={"lr": 0.1, "crop": 24}).entries()["optimizer.lr"]
        0.1
        """
        rest: dict[str, Plain] = {
            "data.n_train": self.n_train,
            "data.n_holdout": self.n_holdout,
            "data.fingerprint": self.fingerprint,
            "seed": self.seed,
            "train.n_updates": self.n_updates,
        }
        places = {name: entry.dotted for name, entry in HYPERPARAMETERS.items()}
        named = {places.get(name, f"factors.{name}"): value for name, value in self.factors.items()}
        measure = flattened(encode_object(self.measure), "measure.")
        if self.qualities is not None:
            measure["measure.qualities"] = list(self.qualities)
        return rest | named | measure | flattened(self.config, "config.")

    def goes_on_as(self, told: "WrittenConfig") -> bool:
        """Whether this is the run told of, which may train longer; an older file names no qualities."""
        qualities = told.qualities if self.qualities is None else self.qualities
        return replace(self, n_updates=told.n_updates, qualities=qualities) == told

    def to_json(self) -> str:
        """Write it."""
        tree = {"format": FORMAT, "version": VERSION, "kind": KIND, **encode_object(self)}
        return json.dumps(tree, indent=1, sort_keys=True)


def is_written(tree: object) -> TypeGuard[Mapping[str, object]]:
    """Whether a config.json is that of a run that was written."""
    return isinstance(tree, Mapping) and tree.get("format") == FORMAT and tree.get("kind") == KIND


def written_of(tree: Mapping[str, object]) -> WrittenConfig:
    """Build it from the plain values of its file.

    Raises:
        InputError: if an entry is unknown, missing or wrong; it is named.
    """
    _check_version(tree)
    entries = {name: entry for name, entry in tree.items() if name not in ("format", "version", "kind")}
    return decode(entries, WrittenConfig, "config")


def _check_version(tree: Mapping[str, object]) -> None:
    if tree.get("version") != VERSION:
        raise InputError(f"config.version: expected {VERSION}, got {str(tree.get('version'))[:60]}")


def _factors(factors: object) -> dict[str, float | int | str | None]:
    """Hyperparameters as numbers and texts."""
    if not isinstance(factors, Mapping):
        raise InputError(f"factors: expected a mapping of names to numbers or texts, got {factors!r}")
    return {_factor_name(name): _factor(name, value) for name, value in factors.items()}


def _factor_name(name: object) -> str:
    """The name of a hyperparameter, if it may be one."""
    if not _may_be_a_factor(name):
        wanted = f"names other than {' and '.join(TAKEN)}, and none of an answer"
        raise InputError(f"factors: expected {wanted}, got {name!r}")
    return name


def _may_be_a_factor(name: object) -> TypeGuard[str]:
    """Whether it is a name, and that of nothing else."""
    return isinstance(name, str) and name not in ("", *TAKEN) and not ANSWERS.fullmatch(name)


def _factor(name: str, value: object) -> float | int | str | None:
    """One hyperparameter: a finite number, a text or nothing."""
    if isinstance(value, Real) and not isinstance(value, bool):
        if isinstance(value, Integral):
            return check_whole(f"factors: {name}", value, least=1 - LARGEST, most=LARGEST - 1)
        if abs(value) <= LARGEST_NUMBER:
            return float(value)
    elif value is None or isinstance(value, str):
        return value
    raise InputError(f"factors: expected a finite number or a text for {name!r}, got {value!r}")


def _plain(config: object) -> dict[str, Plain]:
    """Whatever the user gave, as JSON has it."""
    tree = _encoded(config)
    check_plain(tree, "config", depth=10)
    return tree


def _encoded(config: object) -> dict[str, Plain]:
    if not isinstance(config, Mapping):
        raise InputError(f"config: expected a mapping, got {type(config).__name__}")
    try:
        return {str(name): encode(entry) for name, entry in config.items()}
    except InputError as error:
        raise InputError(f"config: expected numbers, texts, lists and mappings; {error}") from error
