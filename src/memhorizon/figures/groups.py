"""Runs grouped by what was varied: those of one group differ in nothing but their seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from memhorizon.figures.labels import label_of, printable
from memhorizon.figures.reading import number, sweep_of
from memhorizon.records.sweep import RunRecord, SweepRecord

TOGETHER = 6  # settings that one panel can hold
LONGEST = 40  # characters of a value in a label
# entries of a configuration that tell no group from another: seeds, lengths, which items (each n and each
# seed may have its own), what was looked at how closely
IGNORED = (
    "seed",
    "data.seed",
    "data.subset",
    "data.n_train",
    "model.width",
    "train.n_updates",
    # of runs of one's own
    "n_updates",
    "fingerprint",
)
IGNORED_PART = "measure."
IGNORED_ENDING = "kind"


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed.

    Attributes:
        label: what tells this group from all others.
        series: what tells it from the others in its panel, for a legend.
        panel: what its panel shares; empty where all groups fit into one.
        n_train: number of training items.
        runs: the runs.
    """

    label: str
    series: str
    panel: str
    n_train: int
    runs: tuple[RunRecord, ...]


def groups(record: SweepRecord) -> list[Group]:
    """Runs that differ only in their seed, one group per setting, ordered by n_train and then by width.

    Where there are too many settings for one panel, they are spread over panels by all but n_train.
    """
    runs = sorted(sweep_of(record).runs, key=_order)
    settings = [_setting(run) for run in runs]
    shown = _varied(settings) or ["n_train"]
    found: dict[tuple[str, ...], list[RunRecord]] = {}
    for run, setting in zip(runs, settings, strict=True):
        words = tuple(_say(name, setting.get(name)) for name in shown)
        found.setdefault(words, []).append(run)
    spread = len(found) > TOGETHER and len(shown) > 1 and shown[0] == "n_train"
    return [_group(words, members, spread=spread) for words, members in found.items()]


def panels(every: Sequence[Group]) -> dict[str, list[Group]]:
    """The groups of each panel, in the order of their appearance."""
    found: dict[str, list[Group]] = {}
    for group in every:
        found.setdefault(group.panel, []).append(group)
    return found


def _order(run: RunRecord) -> tuple[float, float, int]:
    return run.n_train, number(run, "width") or 0, run.seed


def _group(words: tuple[str, ...], runs: Sequence[RunRecord], *, spread: bool) -> Group:
    label = ", ".join(words)
    series = words[0] if spread else label
    panel = ", ".join(words[1:]) if spread else ""
    return Group(label, series, panel, runs[0].n_train, tuple(runs))


def _setting(run: RunRecord) -> dict[str, object]:
    """All that may tell one group from another: the configuration, flat, without what is ignored."""
    found: dict[str, object] = {"n_train": run.n_train}
    width = number(run, "width")
    if width is not None:
        found["width"] = width
    for name, value in _flat("", run.config):
        if not _ignored(name):
            found[name] = value
    return found


def _flat(prefix: str, entries: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    """The entries of an object of objects by their dotted names."""
    for name, value in entries.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _ignored(name: str) -> bool:
    ending = name.rsplit(".", 1)[-1]
    return name in IGNORED or name.startswith(IGNORED_PART) or ending == IGNORED_ENDING


def _varied(settings: Sequence[Mapping[str, object]]) -> list[str]:
    """The names that have more than one value, in the order of the configuration."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    return [name for name in names if len({str(setting.get(name)) for setting in settings}) > 1]


def _say(name: str, value: object) -> str:
    """One entry of a setting in words, such as n = 8."""
    text = printable(str(value))
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return f"{label_of(name)} = {short}"
