"""What an audit costs: its view of pixels beside a bare matrix product, and its view of registered pictures.

    python benchmarks/audit.py        (ten minutes on an idle machine; smaller: --samples 1000 --train 6000)

First question: the view of pixels with its calibration, that is the nearest training items of all samples and
of 4,000 reference items, and the exact p-values, against the product of samples and training items and
nothing else, in the same process. Goal: at most 2.0 times, and below 1.5 GB in all. Second question: time of
one core for each sample that is registered, and whether twice the samples cost twice the time. Goal: at most
6 ms at 28 x 28 pixels, a ratio of 2. The weights of the descriptor are drawn: learning is timed elsewhere.
"""

import argparse
import resource
import statistics
import subprocess
import sys

import torch
from timing import alternate, environment, table, write

from memhorizon.auditing.calibration import Reference, calibrate
from memhorizon.auditing.descriptor import Descriptor
from memhorizon.auditing.views.aligned import AlignedView
from memhorizon.auditing.views.pixels import MOST_DIRECTIONS, main_directions, pixels

DIM = 784
FACTORS = 40  # that vectors are made of, as pictures are of main directions; the rest is noise
COPIES = 50  # among the samples
GOALS = {"times_bare": 2.0, "memory_mb": 1500, "ms_per_sample": 6.0}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def vectors(count, seed):
    """Values about 0 to 1 with most of their variance in few directions."""
    basis = torch.randn(FACTORS, DIM, generator=seeded(0)) / FACTORS
    factors = torch.randn(count, FACTORS, generator=seeded(seed))
    noise = torch.randn(count, DIM, generator=seeded(seed + 1))
    return noise.mul_(0.02).addmm_(factors, basis).add_(0.5)


def pictures(count, side, seed):
    """Smooth ones: coarse noise made larger."""
    coarse = torch.rand(count, 1, 6, 6, generator=seeded(seed))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)


def inputs(args):
    train = vectors(args.train, 2)
    samples = vectors(args.samples, 4)
    samples[:COPIES] = train[:COPIES] + 0.01 * torch.randn(COPIES, DIM, generator=seeded(6))
    return samples, train


def bare(samples, train, rows=1_024, columns=4_096):
    tile = torch.empty(rows, columns)
    for right in train.split(columns):
        for left in samples.split(rows):
            torch.mm(left, right.T, out=tile[: len(left), : len(right)])


def p_values(samples, train, n_reference):
    """What an audit by the view of pixels alone does once its training set is prepared."""
    group = torch.arange(len(train))
    view = pixels(train, group, "")
    rows = torch.randperm(len(train), generator=seeded(8))[:n_reference].sort().values
    reference = Reference(train[rows], group[rows])
    known = view.find(reference.items, reference.left_out, quiet)
    found = view.find(samples, None, quiet)
    return calibrate([view], reference, [known], samples, [found], [as_it_is], quiet).p_values.p


def quiet(*_):
    """Tell nobody."""


def as_it_is(items):
    return items


def aligned_view(train):
    """The view, its descriptor not learned."""
    net = Descriptor(tuple(train.shape[1:])).eval().requires_grad_(False)
    places = torch.cat([net(part) for part in train.split(1000)])
    both = torch.cat([train[:750], train[:750].flip(-1)]).flatten(1)
    directions = main_directions(both, MOST_DIRECTIONS)[1]
    return AlignedView("", net, train, places, torch.arange(len(train)), directions, (0.0, 1.0))


def median_ratio(times, base):
    return statistics.median(t / b for t, b in zip(times, base, strict=True))


def of_pixels(args):
    """Rows of the first question."""
    samples, train = inputs(args)
    ways = {
        "bare product in tiles": lambda: bare(samples, train),
        "pixels with calibration": lambda: p_values(samples, train, args.reference),
    }
    times = alternate(ways, rounds=args.rounds, warm_up=1)
    base = times["bare product in tiles"]
    return [
        {
            "way": name,
            "times_bare": round(median_ratio(time.wall, base.wall), 3),
            "times_bare_cpu": round(median_ratio(time.cpu, base.cpu), 3),
            "cpu_s": round(statistics.median(time.cpu), 3),
        }
        for name, time in times.items()
    ]


def of_aligned(args):
    """Rows of the second question."""
    view = aligned_view(pictures(args.train, args.side, 2))
    asked = pictures(2 * args.aligned, args.side, 4)
    ways = {
        f"aligned, {args.aligned} samples": lambda: view.find(asked[: args.aligned], None, quiet),
        f"aligned, {2 * args.aligned} samples": lambda: view.find(asked, None, quiet),
    }
    times = alternate(ways, rounds=args.rounds, warm_up=1)
    base = times[f"aligned, {args.aligned} samples"]
    counts = (args.aligned, 2 * args.aligned)
    return [
        {
            "way": name,
            "ms_per_sample": round(1e3 * statistics.median(time.cpu) / count, 3),
            "times_half": round(median_ratio(time.cpu, base.cpu), 3),
        }
        for (name, time), count in zip(times.items(), counts, strict=True)
    ]


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_of_a_fresh_process(args):
    """Its peak in all, and what of it is there before: libraries and inputs."""
    sizes = ["--samples", args.samples, "--train", args.train, "--reference", args.reference]
    command = [sys.executable, __file__, "--memory", *map(str, sizes)]
    return [round(float(word)) for word in subprocess.check_output(command, text=True).split()]


def memory(args):
    samples, train = inputs(args)
    before = peak_mb()
    p_values(samples, train, args.reference)
    print(peak_mb(), before)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--train", type=int, default=60_000)
    parser.add_argument("--reference", type=int, default=4_000)
    parser.add_argument(
        "--aligned", type=int, default=500, help="samples that are registered, and twice as many"
    )
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="print the tables, leave the record alone")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    if args.memory:
        return memory(args)
    before = environment()
    megabytes, of_inputs = memory_of_a_fresh_process(args)
    rows = [of_pixels(args), of_aligned(args)]
    print("\n\n".join(map(table, rows)))
    print(f"peak memory: {megabytes} MB, of which {of_inputs} MB are there before")
    if not args.dry:
        command = " ".join(["python", "benchmarks/audit.py", *sys.argv[1:]])
        sizes = {"shape": [args.samples, args.train, DIM], "reference": args.reference, "side": args.side}
        found = {"memory_mb": megabytes, "of_inputs_mb": of_inputs}
        print("wrote", write("audit", command, before, sum(rows, []), goal=GOALS, summary=found, **sizes))
    return None


if __name__ == "__main__":
    main()
