"""What a record says about its runs: when, on what data, with which network, trained how, and where."""

import json
from collections import Counter
from collections.abc import Sequence

from memhorizon.figures.labels import label_of
from memhorizon.records.reading import entry_of, part_of
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.report.parts import facts_list, folded, paragraphs, text_of
from memhorizon.report.words import counted

NETWORKS = {"UNetConfig": "U-Net", "MLPConfig": "MLP", "FeaturesConfig": "random features"}
FEW = 5  # different values that are listed; of more the ends are
USED_BY = {"momentum": {"sgd"}, "betas": {"adam", "adamw"}}  # of the optimizers


def facts(record: SweepRecord) -> str:
    """When, on what data, with which network, trained how, by which command: a short list."""
    lines = {
        "Date": text_of(record.made or "not recorded"),
        "Data": text_of(_data(record)),
        "Network": text_of(_network(record.runs)),
        "Training": text_of(_training(record.runs)),
        "Command": f"<code>{text_of(record.command or 'not recorded')}</code>",
    }
    return facts_list(lines)


def _data(record: SweepRecord) -> str:
    names = _listed([entry_of(run, "data.path") or entry_of(run, "data.name") for run in record.runs])
    sizes = _listed([run.n_train for run in record.runs])
    holdout = _listed([entry_of(run, "data.n_holdout") for run in record.runs])
    parts = [
        names,
        f"{sizes} training items",
        f"{holdout} held-out items" if holdout else "",
        counted(len(record.runs), "run"),
        counted(len({run.seed for run in record.runs}), "seed"),
    ]
    return ", ".join(filter(None, parts))


def _network(runs: Sequence[RunRecord]) -> str:
    found = [entry_of(run, "model.kind") for run in runs]
    kinds = _listed([NETWORKS.get(str(kind), kind) for kind in found])
    return ": ".join(filter(None, [kinds, _entries(runs, "model")])) or "not recorded"


def _training(runs: Sequence[RunRecord]) -> str:
    names = {str(entry_of(run, "optimizer.name")) for run in runs if entry_of(run, "optimizer.name")}
    unused = {entry for entry, optimizers in USED_BY.items() if not optimizers & names}
    parts = [
        _listed(sorted(names)),
        _entries(runs, "optimizer", but=unused | {"name"}),
        _entries(runs, "train"),
    ]
    return ", ".join(filter(None, parts)) or "not recorded"


def _entries(runs: Sequence[RunRecord], part: str, *, but: set[str] | frozenset[str] = frozenset()) -> str:
    """The entries of a part of the configuration, with the values that they take."""
    parts = [part_of(run, part) for run in runs]
    names = dict.fromkeys(name for found in parts for name in found)
    shown = [name for name in names if name not in {"kind", *but}]
    pairs = [(label_of(name), _listed([found.get(name) for found in parts])) for name in shown]
    return ", ".join(f"{label} {values}" for label, values in pairs if values)


def _listed(values: Sequence[object]) -> str:
    """The different values in words; None is left out."""
    found = list({str(value): value for value in values if value is not None}.values())
    numbers = [value for value in found if isinstance(value, int | float)]
    if len(numbers) == len(found) > FEW:
        return f"{_value_text(min(numbers))} to {_value_text(max(numbers))}"
    return ", ".join(map(_value_text, found[:FEW])) + (" …" if len(found) > FEW else "")


def _value_text(value: object) -> str:
    """A value of the configuration in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "(" + " ".join(map(_value_text, value)) + ")"
    return str(value)


def origin(record: SweepRecord) -> list[str]:
    """Where the runs were made, and their directories."""
    return [*_places(record.runs), _run_directories(record), _configuration(record.runs[0])]


def _places(runs: Sequence[RunRecord]) -> list[str]:
    """How many runs were made on each machine, with which versions."""
    counts = Counter(_made_on(run) for run in runs)
    return [f"<p>{counted(count, 'run')}: {text_of(place)}</p>" for place, count in counts.items()]


def _made_on(run: RunRecord) -> str:
    return ", ".join(f"{name} {value}" for name, value in run.environment.items()) or "not recorded"


def _run_directories(record: SweepRecord) -> str:
    keys = [f"<code>{text_of(run.key)}</code>" for run in record.runs]
    return folded("Run directories", paragraphs(keys))


def _configuration(run: RunRecord) -> str:
    """The whole configuration of a run, folded; empty where it is not known."""
    if not run.config:
        return ""
    text = f"<code>{text_of(json.dumps(run.config))}</code>"
    return folded("Configuration of the first run", paragraphs([text]))
