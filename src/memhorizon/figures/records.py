"""Reading a record: what was run, grouped by what was varied, with its curves and times as answer types."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from memhorizon.errors import InputError
from memhorizon.results import Curve, Estimate, ScalingLaw, Time
from memhorizon.timescales.rules import AT_A_TIME

Row = dict[str, Any]
FACTOR_NAMES = {
    "n_train": "n",
    "width": "width",
    "lr": "learning rate",
    "momentum": "momentum",
    "batch_size": "batch",
    "ema": "decay of the average",
    "dropout": "dropout",
    "weight_decay": "weight decay",
}
TOGETHER = 6  # settings that one panel can hold
LEVEL = re.compile(r" first at or below ([-+.e\d]+)$")  # as generalization_time states its rule
LONGEST = 40  # characters of a value in a label
DAMAGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


@contextmanager
def reading() -> Iterator[None]:
    """Turn what a damaged record raises where it is used into an InputError.

    A record may come from a stranger. `sweep_of` checks its form; that its numbers can be drawn (a step of
    1e308, a text where a factor stands) shows where they are, and the answer is the same everywhere.

    Raises:
        InputError: if an entry is missing, of another kind, or a number that cannot be used.
    """
    try:
        yield
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(
            f"record: expected entries as memhorizon writes them, got one that cannot be used "
            f"({type(error).__name__}: {printable(str(error))[:200]})"
        ) from error


def printable(text: str) -> str:
    r"""Write out every character that shows nothing, or turns the direction of writing round.

    >>> print(printable("a\x1b[31m\u202eb"))
    a\x1b[31m\u202eb
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


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
    "train.n_updates",
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


def factor_name(name: str) -> str:
    """A factor, or a place in the configuration, in words: optimizer.name is the optimizer."""
    entry = name.removesuffix(".name").removesuffix(".kind").rsplit(".", 1)[-1]
    return printable(FACTOR_NAMES.get(name, entry.replace("_", " ")))


def _say(name: str, value: Any) -> str:
    text = printable(str(value))
    return f"{factor_name(name)} = {text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}"


def quality_name(record: Mapping[str, Any]) -> str:
    """The curve that tau_gen is read from."""
    rules = record["rules"]
    return f"{rules['quality']}@{rules['t']:g}" if has_time(rules) else rules["quality"]


def has_time(rules: Mapping[str, Any]) -> bool:
    """Whether the quality is measured at a diffusion time."""
    return rules["quality"] in AT_A_TIME and rules.get("t") is not None


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


def known_curve(run: Mapping[str, Any], name: str) -> Curve | None:
    """A curve of a run; None where it was not measured."""
    return curve_of(run, name) if name in run["curves"] else None


def level_of(record: Mapping[str, Any]) -> float | None:
    """The level of quality that tau_gen is read at, as the record states it; None where there is none.

    It stands in the rule of each time and is not computed anew: which runs settle it, the record says.
    """
    rules = (run["times"]["tau_gen"]["rule"] for run in record["runs"])
    found = [match for rule in rules if (match := LEVEL.search(rule))]
    return float(found[0][1]) if found else None


def known_curves(runs: Iterable[Mapping[str, Any]], name: str) -> list[Curve]:
    """The curve called `name` of those runs that have it."""
    return [curve_of(run, name) for run in runs if name in run["curves"]]


def _array(values: Sequence[float | None], null: float) -> np.ndarray:
    return np.array([null if v is None else v for v in values], dtype=float)


def time_of(entry: Mapping[str, Any]) -> Time:
    """A time of a record; null in JSON stands for no time, no lower end, and an infinite upper end."""
    value = math.nan if entry["value"] is None else float(entry["value"])
    high = math.inf if entry["high"] is None else float(entry["high"])
    return Time(value, float(entry["low"] or 0.0), high, entry["status"], entry["rule"])


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
    return int(max((entry["step"][-1] for entry in run["curves"].values()), default=0))


def unfinished(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Runs that were not yet measured up to the step that they are to end at."""
    return [run for run in record["runs"] if last_step(run) < _planned(run)]


def _planned(run: Mapping[str, Any]) -> int:
    return run.get("config", {}).get("train", {}).get("steps", 0)


def images(record: Mapping[str, Any]) -> bool:
    """Whether the items are images."""
    names = {run.get("config", {}).get("data", {}).get("name") for run in record["runs"]}
    return not names & {"gaussian", "mixture"}
