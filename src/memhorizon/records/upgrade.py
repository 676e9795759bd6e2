"""From files of version 1 to the plain values of version 2.

Version 1 had no number. It wrote infinity and NaN of sweeps as null, the factors of a run beside its other
entries, details of a status within its text, and tables under other names.
"""

import re
from collections.abc import Callable, Mapping

from memhorizon.errors import InputError
from memhorizon.records.codec import show
from memhorizon.records.plain import Plain
from memhorizon.results import Status

Tree = Mapping[str, object]
FACTORS = ("width", "dropout", "lr", "momentum", "weight_decay", "batch_size", "ema", "optimizer")
SAME = {  # entries of a sweep that are what they were
    *("name", "command", "rules", "claim", "size", "seconds", "left_out"),
}
# dotted names of a configuration, in the record of what differs
RENAMED = {
    "train.steps": "train.n_updates",
    "train.t": "train.diffusion_time",
    "schedule.steps": "schedule.n_levels",
    "measure.times": "measure.diffusion_times",
    "measure.sampler": "measure.sampler.method",
    "measure.sampler_steps": "measure.sampler.n_solver_steps",
}
# entries of tables whose names are no names of fields
FIELD_NAMES = {"class": "label", "not reached": "not_reached", "before first": "before_first"}
# columns of tables in which null was NaN
NAN_COLUMNS = {
    "clocks": {
        *("level_times", "tau_first", "share_at_first", "E_score_at_first", "level_1_time", "tau_third"),
        "half_time",
    },
    "losses": {"tau_third"},
    "optimizers": {"half_step"},
}
LEFT_OUT = re.compile(r"(?P<status>.*?)(; (?P<left>left out: .*))?", re.DOTALL)


def upgrade(tree: Tree) -> dict[str, object]:
    """A file of version 1 as version 2 has it, "kind" included.

    Raises:
        InputError: if it is neither a sweep nor a table.
    """
    if tree.get("kind") == "sweep":
        return {"kind": "sweep", **_sweep(tree, "record")}
    if tree.get("kind") == "duplicates":
        return {"kind": "table", **_first_digits(tree)}
    if "kind" not in tree and "columns" in tree:
        return {"kind": "table", **_table(tree)}
    kind = show(tree.get("kind"))
    raise InputError(f"record.kind: expected a sweep or a table, got one of kind {kind}")


# --- sweeps ---


def _sweep(tree: Tree, where: str) -> dict[str, object]:
    made = {name: tree[name] for name in tree if name in SAME}
    if "date" in tree:
        made["made"] = tree["date"]
    made["runs"] = _upgraded(_run, tree, "runs", where)
    made["laws"] = {name: _law(law, f"{where}.laws") for name, law in _object(tree, "laws", where).items()}
    collapse = dict(_object(tree, "collapse", where))
    made["collapse_note"] = collapse.pop("status", "")
    made["collapse"] = {name: _estimate(entry) for name, entry in collapse.items()}
    made["contrasts"] = _upgraded(_contrast, tree, "contrasts", where)
    if "differs" in tree:
        made["differs"] = _differs(_object(tree, "differs", where))
    made["others"] = _upgraded(_other, tree, "others", where)
    return made


def _upgraded(
    upgrade: Callable[[object, str], dict[str, object]], tree: Tree, name: str, where: str
) -> list[dict[str, object]]:
    """The entries of a list, each upgraded."""
    return [upgrade(entry, f"{where}.{name}[{i}]") for i, entry in enumerate(_list(tree, name, where))]


def _other(other: object, where: str) -> dict[str, object]:
    return _sweep(_as_object(other, where), where)


def _run(run: object, where: str) -> dict[str, object]:
    run = _as_object(run, where)
    config = _object(run, "config", where)
    curves = _object(run, "curves", where)
    train = config.get("train")
    n_updates = train.get("steps", 0) if isinstance(train, Mapping) else 0
    same = {name: run[name] for name in ("key", "n_train", "seed") if name in run}
    return {
        **same,
        "factors": {name: run[name] for name in FACTORS if name in run},
        "config": upgrade_config(config),
        "environment": run.get("environment", {}),
        "data": data_facts(_object(run, "data", where), f"{where}.data"),
        "curves": {name: _curve(name, curve) for name, curve in curves.items()},
        "null": _null(run.get("null"), f"{where}.null"),
        "timescales": _timescales(_object(run, "times", where), f"{where}.times"),
        "n_updates": n_updates,
    }


def upgrade_config(tree: Tree) -> dict[str, object]:
    """The configuration of a run with the names of version 2; what has another form stays."""
    made: dict[str, object] = {name: entry for name, entry in tree.items() if name != "kind"}
    parts = {name: dict(part) for name, part in made.items() if isinstance(part, Mapping)}
    for name, part in parts.items():
        if name not in ("model", "schedule"):  # of these there are several kinds
            part.pop("kind", None)
    parts.get("model", {}).pop("steps", None)
    for name, entry in RENAMED.items():
        part, old = name.split(".")
        new = entry.split(".")[1:]
        if len(new) == 1 and old in parts.get(part, {}):
            parts[part] = {new[0] if key == old else key: value for key, value in parts[part].items()}
    measure = parts.get("measure", {})
    if "sampler_steps" in measure:
        parts["measure"] = _with_sampler(measure)
    return made | parts


def _with_sampler(measure: Tree) -> dict[str, object]:
    """The sampler and its number of steps as one object."""
    sampler = {"method": measure.get("sampler"), "n_solver_steps": measure["sampler_steps"]}
    return {
        name: sampler if name == "sampler" else entry
        for name, entry in measure.items()
        if name != "sampler_steps"
    }


def _differs(tree: Tree) -> dict[str, object]:
    return {RENAMED.get(name, name): entry for name, entry in tree.items() if name != "model.steps"}


def data_facts(tree: Tree, where: str) -> dict[str, object]:
    """What is known of the items, as data.json and version 1 have it, for `DataFacts`."""
    made = {name: entry for name, entry in tree.items() if name not in ("ignored", "fingerprint")}
    made = {name: entry for name, entry in made.items() if entry is not None}
    ignored = _object(tree, "ignored", where)
    suffixes = dict(_object(ignored, "suffixes", f"{where}.ignored"))
    count = ignored.get("count", 0)
    if not suffixes and isinstance(count, int) and count > 0:
        suffixes = {"": count}
    return {"fingerprint": tree.get("fingerprint") or "", **made, "ignored": suffixes}


def _null(entry: object, where: str) -> object:
    """The null as a fraction; 0 without counts was that of a run without held-out items."""
    if entry is None or isinstance(entry, Mapping):
        return entry
    if entry in (0, 0.0) and not isinstance(entry, bool):
        return None
    raise InputError(f"{where}: expected a fraction with its counts, got {show(entry)}")


def _curve(name: str, curve: object) -> object:
    if not isinstance(curve, Mapping):
        return curve
    ends = {"low": "-inf", "high": "inf"}
    columns = {end: _each(curve[end], text) for end, text in ends.items() if end in curve}
    return {**curve, **columns, "name": curve.get("name", name)}


def _timescales(tree: Tree, where: str) -> dict[str, object]:
    others = _object(tree, "others", where)
    times = {name: _time(tree[name]) for name in ("tau_gen", "tau_mem") if name in tree}
    unit = {"unit": tree["unit"]} if "unit" in tree else {}
    return {**times, "others": {name: _time(entry) for name, entry in others.items()}, **unit}


def _time(entry: object) -> object:
    return _filled(entry, {"value": "nan", "low": 0.0, "high": "inf"})


def _estimate(entry: object) -> object:
    return _filled(entry, {"value": "nan", "low": "-inf", "high": "inf"})


def _law(law: object, where: str) -> dict[str, object]:
    law = _as_object(law, where)
    exponents = _object(law, "exponents", where)
    covariance = [_each(row, "nan") for row in _list(law, "covariance", where)]
    unknown: dict[str, Plain] = dict.fromkeys(("log_prefactor", "scatter", "explained"), "nan")
    made = {
        **_filled_object(law, unknown),
        "exponents": {name: _estimate(entry) for name, entry in exponents.items()},
        "covariance": covariance,
    }
    return made | status_and_note(law.get("status"))


def _contrast(entry: object, where: str) -> dict[str, object]:
    entry = _as_object(entry, where)
    made = {("timescale" if name == "clock" else name): value for name, value in entry.items()}
    if isinstance(made.get("ratio"), Mapping):
        made["ratio"] = _estimate(made["ratio"])
    return made | status_and_note(entry.get("status"))


def status_and_note(text: object) -> dict[str, object]:
    """The text of version 1 as a status and the details of it.

    >>> status_and_note("not fitted: 0 observed times for 2 parameters and the scatter")
    {'status': 'not fitted', 'note': '0 observed times for 2 parameters and the scatter'}
    """
    if not isinstance(text, str):
        return {"status": text}
    found = LEFT_OUT.fullmatch(text)
    words = found["status"] if found else text
    left = found["left"] if found else None
    note = ""
    if words == "fitted, but most times are censored":
        status = Status.MOSTLY_CENSORED
    elif words == "fitted":
        status = Status.FITTED
    else:
        status = Status.NOT_FITTED
        note = words.removeprefix("not fitted").removeprefix(": ")
    return {"status": status.value, "note": "; ".join(filter(None, (note, left)))}


# --- tables ---


def _table(tree: Tree) -> dict[str, object]:
    name = tree.get("name", "")
    machine = _object(tree, "machine", "record")
    versions = _object(tree, "versions", "record")
    made = {key: tree[key] for key in ("name", "command", "columns", "tiny") if key in tree}
    made["name"] = _name(name)
    made["settings"] = tables_value(tree.get("settings", {}), name)
    made["summary"] = tables_value(tree.get("summary", {}), name)
    made["columns"] = _columns(_object(tree, "columns", "record"))
    made["rows"] = [tables_value(row, name) for row in _list(tree, "rows", "record")]
    made["environment"] = tree.get("environment", {**machine, **versions})
    made["seconds"] = tree.get("wall_seconds", tree.get("seconds"))
    made["cpu_seconds"] = tree.get("cpu_seconds")
    return made


def _columns(columns: Tree) -> dict[str, object]:
    """The columns, and that of the note where a status had its details within."""
    made = {_name(name): text for name, text in columns.items()}
    if made.get("status") == "fitted, or why the numbers should not be trusted":
        made |= {"status": "of the fit", "note": "details of the status"}
    return made


def _first_digits(tree: Tree) -> dict[str, object]:
    """One row per image; what belongs to a seed as a whole is in the summary."""
    seeds = [_as_object(seed, "record.seeds") for seed in _list(tree, "seeds", "record")]
    rows = [
        {"seed": seed.get("seed"), **_as_object(image, "record.seeds.images")}
        for seed in seeds
        for image in _list(seed, "images", "record.seeds")
    ]
    whole = [{name: entry for name, entry in seed.items() if name != "images"} for seed in seeds]
    made = _table({**tree, "rows": rows})
    summary = made["summary"]
    if isinstance(summary, Mapping):
        made["summary"] = {**summary, "seeds": whole}
    return made


def tables_value(value: object, table: object, key: str = "") -> object:
    """A value of a table of version 1: nulls that were NaN or infinite, names and statuses."""
    if isinstance(value, list):
        return [tables_value(entry, table, key) for entry in value]
    if value is None and isinstance(table, str) and key in NAN_COLUMNS.get(table, ()):
        return "nan"
    if not isinstance(value, Mapping):
        return value
    if value.get("kind") == "Config":
        return upgrade_config(value)
    made = {_name(name): tables_value(entry, table, str(name)) for name, entry in value.items()}
    if {"value", "low", "high"} <= set(made):
        made = _filled_object(made, {"value": "nan", "low": "-inf", "high": "inf"})
    return made | _status(value)


def _name(name: object) -> str:
    return FIELD_NAMES.get(str(name), str(name).replace("clock", "timescale"))


def _status(value: Tree) -> dict[str, object]:
    """The status of an entry of a table as a member of `Status`, with its note."""
    text = value.get("status")
    if not isinstance(text, str):
        return {}
    if text.startswith(("fitted", "not fitted")):
        return status_and_note(text)
    read_off_a_curve = set(value) == {"value", "low", "high", "status"} and value["value"] is not None
    return {"status": "observed"} if read_off_a_curve and text == "undetermined" else {}


# --- what is taken apart ---


def _filled(entry: object, nulls: Mapping[str, Plain]) -> object:
    return _filled_object(entry, nulls) if isinstance(entry, Mapping) else entry


def _filled_object(entry: Tree, nulls: Mapping[str, Plain]) -> dict[str, object]:
    """An object with what null meant in its entries."""
    return {name: nulls[name] if value is None and name in nulls else value for name, value in entry.items()}


def _each(column: object, null: str) -> object:
    if not isinstance(column, list):
        return column
    return [null if value is None else value for value in column]


def _as_object(value: object, where: str) -> Tree:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected an object, got {show(value)}")
    return value


def _object(tree: Tree, name: str, where: str) -> Tree:
    """An entry that is an object; empty where there is none."""
    return _as_object({} if tree.get(name) is None else tree[name], f"{where}.{name}")


def _list(tree: Tree, name: str, where: str) -> list[object]:
    """An entry that is a list; empty where there is none."""
    value = [] if tree.get(name) is None else tree[name]
    if not isinstance(value, list):
        raise InputError(f"{where}.{name}: expected a list, got {show(value)}")
    return value
