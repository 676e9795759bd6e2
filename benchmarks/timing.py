"""Times of several ways to do one thing, taken so that they can be compared: see README.md."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import torch

from memhorizon.records.files import write_record
from memhorizon.records.plain import Plain
from memhorizon.records.table import TableRecord

RECORDS = Path(__file__).resolve().parents[1] / "results" / "benchmarks"


@dataclass
class Times:
    """Seconds of each round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # of the whole process, all threads

    def row(self, base: "Times") -> dict[str, float]:
        """Medians in milliseconds, and how many times faster than `base`: median and deciles over rounds."""
        wall = sorted(b / own for b, own in zip(base.wall, self.wall, strict=True))
        cpu = statistics.median(b / own for b, own in zip(base.cpu, self.cpu, strict=True))
        deciles = statistics.quantiles(wall, n=10)
        return {
            "wall_ms": round(1e3 * statistics.median(self.wall), 3),
            "cpu_ms": round(1e3 * statistics.median(self.cpu), 3),
            "faster_wall": round(statistics.median(wall), 3),
            "faster_wall_low": round(deciles[0], 3),
            "faster_wall_high": round(deciles[-1], 3),
            "faster_cpu": round(cpu, 3),
        }


def alternate(ways: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 3) -> dict[str, Times]:
    """Time every way once per round, in alternating order, after some untimed rounds."""
    times = {name: Times() for name in ways}
    for i in range(-warm_up, rounds):
        for name in list(ways)[:: 1 if i % 2 else -1]:
            wall, cpu = time.perf_counter(), time.process_time()
            ways[name]()
            if i >= 0:
                times[name].wall.append(time.perf_counter() - wall)
                times[name].cpu.append(time.process_time() - cpu)
    return times


def environment() -> dict[str, Plain]:
    """The machine, the versions, and how busy the machine is with other things."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu": f"{model or platform.processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "cores": os.cpu_count(),
        "load_average_before": [round(x, 2) for x in os.getloadavg()],
    }


def write(
    name: str,
    command: str,
    before: Mapping[str, Plain],
    rows: Sequence[Mapping[str, Plain]],
    *,
    columns: Mapping[str, str] | None = None,
    summary: Mapping[str, Plain] | None = None,
    out: Path | None = None,
    **settings: Plain,
) -> Path:
    """Write the record of a benchmark.

    Args:
        name: of the benchmark.
        command: that made it.
        before: the environment before it.
        rows: that were measured.
        columns: the meaning of each entry of a row, with its unit.
        summary: figures drawn from the rows.
        out: the file; None for results/benchmarks/NAME.json.
        settings: what was run, and the goals.
    """
    after: list[Plain] = [round(x, 2) for x in os.getloadavg()]
    record = TableRecord(
        name=name,
        command=command,
        columns=columns or {},
        settings=settings,
        summary=summary or {},
        rows=tuple(rows),
        environment={**before, "load_average_after": after},
    )
    return write_record(record, out or RECORDS / f"{name}.json")


def table(rows: list[dict]) -> str:
    """The rows as aligned text."""
    columns = list(rows[0])
    cells = [columns] + [[str(row[c]) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in cells)
