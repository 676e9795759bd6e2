"""How the theory recipes write down what they found: one JSON file of plain numbers, with its origin."""

import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

DIGITS = 7  # significant digits kept in a record


def write_record(
    out: Path,
    name: str,
    rows: Callable[[], Iterable[Mapping[str, object]]],
    *,
    columns: Mapping[str, str],
    settings: Mapping[str, object],
    summary: Callable[[list[Mapping[str, object]]], Mapping[str, object]] = lambda rows: {},
    tiny: bool = False,
    recipe: str | None = None,
) -> Path:
    """Make the rows, summarise them and write OUT/NAME.json (NAME-tiny.json when tiny), which is returned.

    Args:
        out: folder of the records.
        name: of the record.
        rows: makes the rows, in long form.
        columns: what each key of a row means, with its unit.
        settings: what was run, seeds included.
        summary: figures drawn from the rows.
        tiny: whether this is the run of seconds that only shows that it works.
        recipe: its name, for the command; theory_NAME where not given.
    """
    start, cpu = time.perf_counter(), time.process_time()
    table = list(rows())
    record = {
        "name": name,
        "command": f"memhorizon reproduce {recipe or f'theory_{name}'}" + (" --size tiny" if tiny else ""),
        "tiny": tiny,
        "settings": settings,
        "summary": summary(table),
        "columns": columns,
        "wall_seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "machine": {
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "versions": {package: version(package) for package in ("memhorizon", "numpy", "scipy", "torch")},
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / (f"{name}-tiny.json" if tiny else f"{name}.json")  # beside the real record, not over it
    partial = path.with_suffix(".partial")
    head = json.dumps(plain(record), indent=1, allow_nan=False)[:-2]
    lines = ",\n  ".join(json.dumps(plain(row), allow_nan=False) for row in table)  # one row per line
    partial.write_text(f'{head},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8")
    partial.replace(path)
    return path


def plain(value: object) -> object:
    """The same with arrays as lists, floats cut to DIGITS, infinity as a word and NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return ("inf" if value > 0 else "-inf") if math.isinf(value) else float(f"{value:.{DIGITS}g}")
    return value


def mean_and_error(values: Iterable[float]) -> dict[str, float]:
    """Mean over seeds and its standard error."""
    x = np.array(list(values), dtype=float)
    error = float(x.std(ddof=1) / math.sqrt(len(x))) if len(x) > 1 else math.nan
    return {"mean": float(x.mean()), "standard_error": error, "seeds": len(x)}


def first_crossing(tau: np.ndarray, value: np.ndarray, level: float) -> float:
    """First time at which a curve reaches a level, interpolated in log tau; NaN if it does not."""
    reached = np.flatnonzero(value >= level)
    if len(reached) == 0 or reached[0] == 0:
        return math.nan
    i = reached[0]
    share = (level - value[i - 1]) / (value[i] - value[i - 1])
    return float(tau[i - 1] * (tau[i] / tau[i - 1]) ** share)
