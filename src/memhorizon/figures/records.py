"""Reading a record: what was run, grouped by what was varied, with its curves and times as answer types."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memhorizon.results import Curve, Estimate, InputError, ScalingLaw, Time

Row = dict[str, Any]
FACTOR_NAMES = {
    "n_train": "n",
    "width": "width",
    "lr": "learning rate",
    "momentum": "momentum",
    "batch_size": "batch",
    "ema": "average",
    "dropout": "dropout",
    "weight_decay": "weight decay",
}
TOGETHER = 6  # settings that one panel can hold


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed.

    Attributes:
        label: what tells this group from all others.
        series: what tells it from the others in its panel, for a legend.
        panel: what its panel shares; empty where all groups fit into one.
        n_train: number of training items.
        runs: their entries in the record.
    """

    label: str
    series: str
    panel: str
    n_train: int
    runs: tuple[Mapping[str, Any], ...]


def sweep_of(record: Any) -> Mapping[str, Any]:
    """Return the record itself if it is a sweep with runs.

    Raises:
        InputError: if it is no record of a sweep, or has no runs, or a run lacks an entry.
    """
    if not isinstance(record, Mapping) or record.get("kind") != "sweep":
        kind = record.get("kind") if isinstance(record, Mapping) else type(record).__name__
        raise InputError(f"record: expected one of kind 'sweep', got {kind!r}")
    runs = record.get("runs")
    if not isinstance(runs, Sequence) or not runs or not isinstance(record.get("rules"), Mapping):
        raise InputError("record: expected a list of runs and the rules that read them, got none")
    for i, run in enumerate(runs):
        missing = sorted({"key", "n_train", "seed", "curves", "times"} - set(run))
        if missing:
            raise InputError(f"record: run {i} lacks {missing}")
    return record


def groups(record: Mapping[str, Any]) -> list[Group]:
    """Runs that differ only in their seed, one group per setting, ordered by n_train and then by width.

    Where there are too many settings for one panel, they are spread over panels by all but n_train.
    """
    runs = sorted(sweep_of(record)["runs"], key=lambda r: (r["n_train"], r.get("width") or 0, r["seed"]))
    settings = [_setting(run) for run in runs]
    varied = [name for name in _names(settings) if len({str(s.get(name)) for s in settings}) > 1]
    shown = varied or ["n_train"]
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for run, setting in zip(runs, settings, strict=True):
        found.setdefault(tuple(_say(name, setting.get(name)) for name in shown), []).append(run)
    spread = len(found) > TOGETHER and len(shown) > 1 and shown[0] == "n_train"
    made = []
    for words, own in found.items():
        label = ", ".join(words)
        series, panel = (words[0], ", ".join(words[1:])) if spread else (label, "")
        made.append(Group(label, series, panel, own[0]["n_train"], tuple(own)))
    return made


def panels(every: Sequence[Group]) -> dict[str, list[Group]]:
    """The groups of each panel, in the order of their appearance."""
    found: dict[str, list[Group]] = {}
    for group in every:
        found.setdefault(group.panel, []).append(group)
    return found


IGNORED = (
    "seed",
    "data.seed",
    "data.subset",
    "data.n_train",
    "model.width",
    "train.steps",
    "measure.",
    ".kind",
)


def _setting(run: Mapping[str, Any]) -> Row:
    """All that may tell one group from another: the configuration, flat, without seeds and lengths."""
    setting: Row = {"n_train": run["n_train"]}
    if run.get("width") is not None:
        setting["width"] = run["width"]
    flat = _flat("", run.get("config", {}))
    return setting | {k: v for k, v in flat.items() if not any(_matches(k, skip) for skip in IGNORED)}


def _matches(key: str, pattern: str) -> bool:
    if pattern.startswith("."):
        return key.endswith(pattern) or key == pattern[1:]
    return key.startswith(pattern) if pattern.endswith(".") else key == pattern


def _flat(prefix: str, value: Any) -> Row:
    if not isinstance(value, Mapping):
        return {prefix: value}
    parts = (_flat(f"{prefix}.{key}".lstrip("."), part) for key, part in value.items())
    return {key: entry for part in parts for key, entry in part.items()}


def _names(settings: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(name for setting in settings for name in setting))


def _say(name: str, value: Any) -> str:
    return f"{FACTOR_NAMES.get(name, name.rsplit('.', 1)[-1].replace('_', ' '))} = {value}"


def quality_name(record: Mapping[str, Any]) -> str:
    """The curve that tau_gen is read from."""
    rules = record["rules"]
    return rules["quality"] if rules.get("t") is None else f"{rules['quality']}@{rules['t']:g}"


def curve_of(run: Mapping[str, Any], name: str) -> Curve:
    """A curve of a run; an end of an interval that is null in JSON is infinite.

    Raises:
        InputError: if the run has no such curve.
    """
    if name not in run["curves"]:
        raise InputError(f"record: run {run['key']} has no curve {name!r}; it has {sorted(run['curves'])}")
    entry = run["curves"][name]
    value, step = _array(entry["value"], math.nan), _array(entry["step"], math.nan)
    low, high = _array(entry["low"], -math.inf), _array(entry["high"], math.inf)
    total = None if entry.get("total") is None else _array(entry["total"], math.nan)
    return Curve(step, value, low, high, name, total, entry.get("confidence", 0.95))


def _array(values: Sequence[float | None], null: float) -> np.ndarray:
    return np.array([null if v is None else v for v in values], dtype=float)


def time_of(entry: Mapping[str, Any]) -> Time:
    """A time of a record; an upper end that is null in JSON is infinite."""
    high = math.inf if entry["high"] is None else entry["high"]
    return Time(entry["value"], entry["low"] or 0.0, high, entry["status"], entry["rule"])


def law_of(record: Mapping[str, Any], clock: str) -> ScalingLaw | None:
    """The fitted law of a clock; None where nothing was or could be fitted."""
    entry = record.get("laws", {}).get(clock)
    if not entry or entry["log_prefactor"] is None:
        return None
    exponents = {name: estimate_of(e) for name, e in entry["exponents"].items()}
    rest = {key: entry[key] for key in ("log_prefactor", "scatter", "observed", "censored", "status")}
    return ScalingLaw(exponents, covariance=np.array(entry["covariance"]), **rest)


def estimate_of(entry: Mapping[str, Any]) -> Estimate:
    """An estimate of a record; ends that are null in JSON are infinite."""
    low, high = entry["low"], entry["high"]
    return Estimate(entry["value"], -math.inf if low is None else low, math.inf if high is None else high)


def null_of(run: Mapping[str, Any]) -> float:
    """The share of held-out items that count as copies."""
    null = run.get("null") or 0.0
    return float(null["value"]) if isinstance(null, Mapping) else float(null)


def last_step(run: Mapping[str, Any]) -> int:
    """The last step that was measured."""
    return int(max(entry["step"][-1] for entry in run["curves"].values()))


def unfinished(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Runs that were not yet measured up to the step that they are to end at."""
    return [run for run in record["runs"] if last_step(run) < _planned(run)]


def _planned(run: Mapping[str, Any]) -> int:
    return run.get("config", {}).get("train", {}).get("steps", 0)


def images(record: Mapping[str, Any]) -> bool:
    """Whether the items are images."""
    names = {run.get("config", {}).get("data", {}).get("name") for run in record["runs"]}
    return not names & {"gaussian", "mixture"}
