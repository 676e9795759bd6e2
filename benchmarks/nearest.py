"""The two nearest of 32,768 training points for 10,000 samples of 1,024 numbers: how near to the product?

    python benchmarks/nearest.py        (about three minutes on an idle machine with 2 cores)

The base is the matrix product of the same shape and nothing else, written into tiles of 1,024 x 4,096 that
are thrown away: the fastest way found here to compute it. Beside it the product in one go, and the usual way,
broadcast and norm, timed on a slice and scaled up. Goals: at most 1.25 times the bare product, below 1 GB
beyond the inputs, exact copies at distance exactly 0.
"""

import argparse
import resource
import statistics
import subprocess
import sys

import torch
from timing import alternate, environment, table, write

from memhorizon.measure.neighbors import nearest

M, N, D = 10_000, 32_768, 1_024
COPIES = 100  # of training points, planted among the samples
SLICE = (8, 2_048)  # samples and training points of the broadcast
GOALS = {"times_bare": 1.25, "memory_mb": 1000, "largest_distance_of_a_copy": 0.0}


def inputs():
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(N, D, generator=generator).add_(5.5)  # off the origin, where products cancel
    samples = torch.randn(M, D, generator=generator).add_(5.5)
    samples[:COPIES] = train[:COPIES]
    return samples, train


def bare(samples, train, rows=1_024, columns=4_096):
    tile = torch.empty(rows, columns)
    for right in train.split(columns):
        for left in samples.split(rows):
            torch.mm(left, right.T, out=tile[: len(left)])


def broadcast(samples, train):
    distance = (samples[: SLICE[0], None] - train[None, : SLICE[1]]).norm(dim=2)
    return distance.topk(2, dim=1, largest=False)


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_of_a_fresh_process():
    return float(subprocess.check_output([sys.executable, __file__, "--memory"], text=True))


def memory():
    samples, train = inputs()
    nearest(samples[:16], train[:16])  # libraries and thread pools are no part of the question
    before = peak_mb()
    nearest(samples, train)
    print(peak_mb() - before)


def measure(threads, rounds, samples, train):
    """One row for each way, its time beside that of the bare product."""
    torch.set_num_threads(threads)
    ways = {
        "bare product in tiles": lambda: bare(samples, train),
        "bare product in one go": lambda: torch.mm(samples, train.T),
        "nearest, k = 2": lambda: nearest(samples, train),
        "broadcast and norm (scaled up)": lambda: broadcast(samples, train),
    }
    times = alternate(ways, rounds=rounds, warm_up=1)
    scale_up(times["broadcast and norm (scaled up)"])
    base = times["bare product in tiles"]
    rows = []
    for name, time in times.items():
        ratios = {
            "times_bare": round(median_ratio(time.wall, base.wall), 3),
            "times_bare_cpu": round(median_ratio(time.cpu, base.cpu), 3),
        }
        rows.append({"threads": threads, "way": name, **ratios, **time.row(base)})
    return rows


def scale_up(slow):
    """From the slice that was timed to all pairs."""
    scale = M * N / (SLICE[0] * SLICE[1])
    slow.wall = [scale * t for t in slow.wall]
    slow.cpu = [scale * t for t in slow.cpu]


def median_ratio(times, base):
    return statistics.median(t / b for t, b in zip(times, base, strict=True))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dry", action="store_true", help="print the table, leave the record alone")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory:
        return memory()
    before = environment()
    samples, train = inputs()
    rows = [row for threads in args.threads for row in measure(threads, args.rounds, samples, train)]
    copies = float(nearest(samples[:COPIES], train)[0][:, 0].max())
    megabytes = round(memory_of_a_fresh_process())
    print(table(rows))
    print(f"peak memory beyond the inputs: {megabytes} MB; largest distance of a copy: {copies}")
    if not args.dry:
        command = " ".join(["python", "benchmarks/nearest.py", *sys.argv[1:]])
        found = {"memory_mb": megabytes, "largest_distance_of_a_copy": copies}
        print("wrote", write("nearest", command, before, rows, shape=[M, N, D], goal=GOALS, summary=found))
    return None


if __name__ == "__main__":
    main()
