"""Neighbours and audits among 200,000 vectors of 1,024 numbers that lie on the disk.

    python benchmarks/many_references.py        (a quarter of an hour on one core; 1 GB of disk)
    python benchmarks/many_references.py --references 1000000 --rounds 2   (6 GB: its own record)

First question: the two nearest of 200,000 references in a .npy file for 2,000 queries, against the matrix
product of the same numbers with the file read once, block by block, and nothing else; in one process, in
turn. Goal: at most 1.4 times, twice the references at most twice the time (and a tenth). Second question: the
same for an audit of these 2,000 samples by its vectors alone, against half the references. Goal for both:
below 1 GB in all, the peak of a fresh process, Python and its packages included.

The variances of the vectors fall as 1/k^1.5, k = 1 to 1,024, about as those of pictures do.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from timing import RECORDS, alternate, environment, table, write

import memhorizon as mh

N, M, D = 200_000, 2_000, 1_024
COPIES = 50  # among the queries
EXPONENT = 1.5  # of the variances
PART = 10_000  # vectors made at a time
GOALS = {"times_bare": 1.4, "memory_mb": 1000, "twice_the_references": 2.2}


def vectors(count, seed):
    generator = np.random.default_rng(seed)
    spread = np.arange(1, D + 1, dtype=np.float32) ** (-EXPONENT / 2)
    return generator.standard_normal((count, D), dtype=np.float32) * spread


def make(folder, count):
    """Files of references, all and the first half, and of queries."""
    places = {size: folder / f"references{size}.npy" for size in (count, count // 2)}
    for size, place in places.items():
        with place.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (size, D)}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, size, PART):
                vectors(min(PART, size - start), [1, start]).tofile(file)
    queries = vectors(M, 0)
    queries[:COPIES] = np.load(places[count // 2], mmap_mode="r")[:COPIES]
    np.save(folder / "queries.npy", queries)
    return places


def bare(queries, place, rows=1_024, columns=4_096):
    """Read the file and multiply, in tiles that are thrown away."""
    tile = torch.empty(rows, columns)
    count = len(np.load(place, mmap_mode="r"))
    with place.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        for start in range(0, count, columns):
            right = torch.from_numpy(np.fromfile(file, np.float32, min(columns, count - start) * D)).view(
                -1, D
            )
            for left in queries.split(rows):
                torch.mm(left, right.T, out=tile[: len(left), : len(right)])


def neighbours(folder, place):
    return mh.nearest(np.load(folder / "queries.npy"), place)


def audited(folder, place):
    files = {"samples": folder / "queries.npy", "train": place}
    return mh.audit(**files, views=["features"], features=files)


def alone(folder, place, what):
    """Seconds of the processor and peak memory of one of them in this process, and what it found."""
    before = time.process_time()
    if what == "audit":
        found = audited(folder, place).copies.count
    else:
        found = int((neighbours(folder, place)[0][:, 0] == 0).sum())
    print(json.dumps([time.process_time() - before, peak_mb(), found]))


def peak_mb():
    """Of this process alone: what `getrusage` gives begins with the memory of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def fresh(folder, place, what):
    command = [sys.executable, __file__, "--alone", what, str(folder), str(place)]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def of_process(folder, places, what):
    """Rows of one of them: all references and half of them."""
    rows = []
    for size, place in sorted(places.items()):
        seconds, peak, found = fresh(folder, place, what)
        rows.append(
            {
                "what": what,
                "references": size,
                "cpu_s": round(seconds, 1),
                "peak_mb": round(peak),
                "copies": found,
            }
        )
    return rows


def timed(folder, places, rounds):
    """Rows of the search beside the bare product, each size by itself."""
    queries = torch.from_numpy(np.load(folder / "queries.npy"))
    rows = []
    for size, place in sorted(places.items()):
        ways = {
            "bare product, file read": lambda place=place: bare(queries, place),
            "nearest, k = 2": lambda place=place: neighbours(folder, place),
        }
        times = alternate(ways, rounds=rounds, warm_up=1)
        base = times["bare product, file read"]
        for name, found in times.items():
            row = found.row(base)
            ratios = {
                "times_bare": round(1 / row["faster_wall"], 3),
                "times_bare_cpu": round(1 / row["faster_cpu"], 3),
            }
            rows.append({"references": size, "way": name, **ratios, **row})
    return rows


def known_times():
    """The times of the record, as they are there."""
    return json.loads((RECORDS / "many_references.json").read_text())["rows"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--references", type=int, default=N)
    parser.add_argument("--keep-times", action="store_true", help="measure the fresh processes alone again")
    parser.add_argument("--dry", action="store_true", help="print the tables, leave the record alone")
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.alone:
        what, folder, place = args.alone
        return alone(Path(folder), Path(place), what)
    before = environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = make(folder, args.references)
        processes = [row for what in ("nearest", "audit") for row in of_process(folder, places, what)]
        print(table(processes))
        rows = known_times() if args.keep_times else timed(folder, places, args.rounds)
    print(table(rows))
    if not args.dry:
        command = " ".join(["python", "benchmarks/many_references.py", *sys.argv[1:]])
        shape = [M, args.references, D]
        more = {"shape": shape, "goal": GOALS, "processes": processes}
        name = "many_references" if args.references == N else f"many_references_{args.references}"
        print("wrote", write(name, command, before, rows, **more))
    return None


if __name__ == "__main__":
    main()
