"""What a record says about its data and its runs: what they are, and what was left out on the way."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from memhorizon.figures.records import factor_name
from memhorizon.report.parts import folded, paragraphs, text_of

Row = Mapping[str, Any]
NETWORKS = {"UNetConfig": "U-Net", "MLPConfig": "MLP", "FeaturesConfig": "random features"}
FEW = 5  # different values that are listed; of more the ends are
USED_BY = {"momentum": {"sgd"}, "betas": {"adam", "adamw"}}  # of the optimizers


def facts(record: Row) -> str:
    """When, on what data, with which network, trained how, by which command: a short list."""
    configs = [config for run in record["runs"] if (config := run.get("config"))]
    lines = {
        "Date": text_of(record.get("date") or "not recorded"),
        "Data": text_of(_data(record, configs)),
        "Network": text_of(_network(configs)),
        "Training": text_of(_training(configs)),
        "Command": f"<code>{text_of(record.get('command') or 'not recorded')}</code>",
    }
    return '<dl class="facts">' + "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in lines.items()) + "</dl>"


def _data(record: Row, configs: Sequence[Row]) -> str:
    sizes = _listed([run["n_train"] for run in record["runs"]])
    names = _listed([c["data"].get("path") or c["data"].get("name") for c in configs])
    holdout = _listed([c["data"].get("n_holdout") for c in configs])
    seeds = len({run["seed"] for run in record["runs"]})
    parts = [names, f"{sizes} training items", f"{holdout} held-out items" if holdout else ""]
    return ", ".join(filter(None, [*parts, _counted(len(record["runs"]), "run"), _counted(seeds, "seed")]))


def _network(configs: Sequence[Row]) -> str:
    kinds = _listed([NETWORKS.get(c["model"].get("kind"), c["model"].get("kind")) for c in configs])
    rest = _entries(configs, "model", but={"steps"})  # the levels of the noise schedule
    return ": ".join(filter(None, [kinds, rest])) or "not recorded"


def _training(configs: Sequence[Row]) -> str:
    names = {config["optimizer"].get("name") for config in configs}
    unused = {entry for entry, optimizers in USED_BY.items() if not optimizers & names}
    optimizer = _entries(configs, "optimizer", but=unused | {"name"})
    parts = [_listed(sorted(names)), optimizer, _entries(configs, "train", but=set())]
    return ", ".join(filter(None, parts)) or "not recorded"


def _entries(configs: Sequence[Row], part: str, *, but: set[str]) -> str:
    """The entries of a part of the configuration, with the values that they take."""
    names = dict.fromkeys(name for config in configs for name in config[part] if name not in {"kind", *but})
    pairs = [(name, _listed([config[part].get(name) for config in configs])) for name in names]
    return ", ".join(f"{factor_name(name)} {values}" for name, values in pairs if values)


def _listed(values: Sequence[Any]) -> str:
    """The different values in words; None is left out."""
    found = list({str(value): value for value in values if value is not None}.values())
    if len(found) > FEW and all(isinstance(value, int | float) for value in found):
        return f"{_said(min(found))} to {_said(max(found))}"
    return ", ".join(map(_said, found[:FEW])) + (" …" if len(found) > FEW else "")


def _said(value: Any) -> str:
    if isinstance(value, list):
        return "(" + " ".join(map(_said, value)) + ")"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
    )


def notes(record: Row) -> str:
    """What the reader has to know before the numbers: runs and files that are not in them."""
    return paragraphs([*_left_out(record), *_others(record), *_losses(record)], kind="notes")


def _left_out(record: Row) -> list[str]:
    missing = record.get("left_out") or []
    if not missing:
        return []
    total = len(missing) + sum(len(one["runs"]) for one in (record, *record.get("others", ())))
    are = "is" if len(missing) == 1 else "are"
    reasons = [f"<code>{text_of(entry['key'])}</code>: {text_of(entry['reason'])}" for entry in missing]
    return [folded(f"{len(missing)} of {total} runs {are} not in this page", paragraphs(reasons))]


def _others(record: Row) -> list[str]:
    """One line per further group, with the way to its part of the page."""
    return [
        f"{_counted(len(other['runs']), 'run')} cannot be compared with these and {_are(other)} shown apart: "
        f'<a href="#group-{i}">{differs(other)}</a>'
        for i, other in enumerate(record.get("others") or (), start=2)
    ]


def _are(record: Row) -> str:
    return "is" if len(record["runs"]) == 1 else "are"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def differs(other: Row) -> str:
    """What tells a group of runs from the first one."""
    pairs = [f"{text_of(factor_name(k))} = {text_of(v)}" for k, v in (other.get("differs") or {}).items()]
    return ", ".join(pairs) or "another configuration"


def _losses(record: Row) -> list[str]:
    """Files passed over and duplicates, each said once with the number of runs that it holds for."""
    lines: dict[str, int] = {}
    for run in record["runs"]:
        for line in _of_data(run.get("data") or {}):
            lines[line] = lines.get(line, 0) + 1
    total = len(record["runs"])
    return [
        line + (f" ({count} of {_counted(total, 'run')})" if count < total else "")
        for line, count in lines.items()
    ]


def _of_data(data: Row) -> list[str]:
    lines = []
    if data.get("n_skipped"):
        lines.append(_skipped(data))
    if (data.get("ignored") or {}).get("count"):
        lines.append(_ignored(data["ignored"]))
    if (data.get("duplicates") or {}).get("items"):
        lines.append(_duplicates(data["duplicates"], data.get("n_train")))
    return lines


def _skipped(data: Row) -> str:
    """How many files could not be read, with the first names."""
    of = f" of {data['n_files']:,}" if data.get("n_files") else ""
    listed = [f"<code>{text_of(e['name'])}</code>: {text_of(e['reason'])}" for e in data.get("skipped") or ()]
    more = data["n_skipped"] - len(listed)
    listed += [f"and {more:,} more"] if listed and more > 0 else []
    summary = f"{data['n_skipped']:,}{of} files of the data could not be read and are not used"
    return folded(summary, paragraphs(listed)) if listed else summary


def _ignored(ignored: Row) -> str:
    kinds = ignored.get("suffixes") or {}
    listed = ", ".join(
        f"{text_of(suffix or 'without suffix')} ({count:,})" for suffix, count in kinds.items()
    )
    return f"{ignored['count']:,} files beside the data were not read, by their suffix" + (
        f": {listed}" if listed else ""
    )


def _duplicates(found: Row, n_train: int | None) -> str:
    of = f" of {n_train:,}" if n_train else ""
    text = (
        f"{found['items']:,}{of} training items are duplicates of each other, in {found['groups']:,} groups"
    )
    text += f" (the largest of {found['largest']:,}); a group counts as one item when copies are counted"
    for part in ("holdout", "training"):
        if count := found.get(f"left_out_of_{part}"):
            text += f"; {count:,} items were left out of the {part} set, as duplicates of the other set"
    return text + (f". Rule: {text_of(found['rule'])}" if found.get("rule") else "")


def origin(record: Row) -> list[str]:
    """Where the runs were made, and their directories."""
    places: dict[str, int] = {}
    for run in record["runs"]:
        text = ", ".join(f"{name} {value}" for name, value in (run.get("environment") or {}).items())
        places[text or "not recorded"] = places.get(text or "not recorded", 0) + 1
    lines = [f"<p>{_counted(count, 'run')}: {text_of(text)}</p>" for text, count in places.items()]
    keys = [f"<code>{text_of(run['key'])}</code>" for run in record["runs"]]
    configs = [
        f"<code>{text_of(json.dumps(run['config']))}</code>" for run in record["runs"][:1] if "config" in run
    ]
    whole = [folded("Configuration of the first run", paragraphs(configs))] if configs else []
    return [*lines, folded("Run directories", paragraphs(keys)), *whole]
