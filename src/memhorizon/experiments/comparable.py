"""Which runs may be read together: one trajectory counts once, and unlike runs are kept apart.

Two runs are one trajectory where all that decides the weights along training is the same, whatever their
directories are called and however they were measured. Two runs compare where they differ in axes of sweeps
alone: their times are then times of the same thing.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from memhorizon.datasets.config import SYNTHETIC
from memhorizon.experiments.config import Config, flat
from memhorizon.experiments.hyperparameters import HYPERPARAMETERS
from memhorizon.experiments.reading import Reading
from memhorizon.experiments.written import WrittenConfig
from memhorizon.records.codec import encode
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import LeftOut

# What compares may differ in: axes of sweeps, seeds, and what was looked at how closely.
FREE = (
    *(entry.dotted for entry in HYPERPARAMETERS.values()),
    *("seed", "data.seed", "data.subset", "data.n_holdout", "data.fingerprint"),
    *("model.n_features", "train.n_updates"),
    *("measure.snapshots", "measure.first", "measure.n_samples", "measure.diffusion_times"),
    *("measure.repeats", "measure.n_train_loss", "measure.keep", "measure.qualities"),
)
DISTRIBUTION = ("dim", "components", "mean", "eigenvalues", "exponent", "basis")  # of synthetic data


Settings = dict[str, Plain]  # a configuration, flat, by dotted names


def batch_of(config: Config) -> int:
    """Items in each update: a batch is never larger than the training set."""
    return min(config.data.n_train, config.train.batch_size or config.data.n_train)


def effective(config: Config | WrittenConfig) -> Settings:
    """The configuration, flat, without what has no effect on the weights or on what they are measured by."""
    if isinstance(config, WrittenConfig):
        return config.entries()
    entries = flat(replace(config, train=replace(config.train, batch_size=batch_of(config))))
    unused = _unused(config)
    return {name: value for name, value in entries.items() if name not in unused}


def _unused(config: Config) -> set[str]:
    """Entries that have no effect, as the others stand."""
    unused = {"optimizer.betas"} if config.optimizer.name == "sgd" else {"optimizer.momentum"}
    if config.data.name not in SYNTHETIC:
        unused |= {f"data.{name}" for name in DISTRIBUTION}
    if config.data.name == "gaussian":
        unused |= {"data.components", "data.mean"}
    if config.data.eigenvalues is not None:
        unused.add("data.exponent")
    return unused


def trajectory(config: Config | WrittenConfig) -> Settings:
    """What decides the weights and what is measured of them, not for how long and how closely."""
    entries = effective(config)
    if entries.get("optimizer.name") == "adamw" and entries.get("optimizer.weight_decay") == 0:
        entries["optimizer.name"] = "adam"  # they differ in the decay alone
    looked = {name for name in FREE if name.startswith("measure.")} | {"train.n_updates", "data.n_holdout"}
    return {name: value for name, value in entries.items() if name not in looked}


def setting(config: Config | WrittenConfig) -> Settings:
    """What has to be the same in runs whose times are compared."""
    return {name: value for name, value in effective(config).items() if name not in FREE}


def once(readings: Sequence[Reading]) -> tuple[list[Reading], list[LeftOut]]:
    """Each trajectory once, where it was followed longest; and the others with a reason."""
    kept: dict[str, Reading] = {}
    left_out = []
    for reading in sorted(readings, key=lambda reading: -reading.last_step):
        names = _names(reading)
        first = next((kept[name] for name in names if name in kept), None)
        if first is None:
            kept |= dict.fromkeys(names, reading)
        else:
            left_out.append(_repeated(reading, first))
    chosen = {id(reading) for reading in kept.values()}
    return [reading for reading in readings if id(reading) in chosen], left_out


def _repeated(reading: Reading, first: Reading) -> LeftOut:
    reason = f"the same run as {first.key}: one training counts once, whatever it is called"
    return LeftOut(reading.key, reason)


def _names(reading: Reading) -> list[str]:
    """By its configuration and, where the items are known, by these in place of where they came from."""
    own = trajectory(reading.config)
    items = reading.data.fingerprint
    if not items:
        return [in_text(own)]
    rest = {name: value for name, value in own.items() if not name.startswith("data.")}
    return [in_text(own), in_text(rest | {"fingerprint": items})]


def same_data(readings: Sequence[Reading]) -> tuple[list[Reading], list[LeftOut]]:
    """Runs whose items are those of the first of the same source; and the others with a reason."""
    first: dict[str, Reading] = {}
    kept = []
    left_out = []
    for reading in readings:
        source = in_text({k: v for k, v in effective(reading.config).items() if k.startswith("data.")})
        known = reading.data.fingerprint
        other = first.setdefault(source, reading) if known else reading
        if other.data.fingerprint == known:
            kept.append(reading)
        else:
            left_out.append(_changed(reading, other))
    return kept, left_out


def _changed(reading: Reading, other: Reading) -> LeftOut:
    reason = f"other items than {other.key} under the same name: the data were changed in between"
    return LeftOut(reading.key, reason)


def apart(readings: Sequence[Reading], by: Callable[[Reading], Settings]) -> list[list[Reading]]:
    """Runs with the same entries together, the largest group first, the earlier of equal ones."""
    found: dict[str, list[Reading]] = {}
    for reading in readings:
        found.setdefault(in_text(by(reading)), []).append(reading)
    return sorted(found.values(), key=len, reverse=True)


def differs(other: Settings, first: Settings) -> Settings:
    """Entries of one setting that are not those of the first; null where it has none."""
    names = [*other, *(name for name in first if name not in other)]
    return {name: other.get(name) for name in names if other.get(name) != first.get(name)}


def in_text(entries: Settings) -> str:
    """Settings as one text, the same whatever their order."""
    return json.dumps(encode(entries), sort_keys=True)
