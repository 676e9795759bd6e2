"""One training step (forward, backward, update) of the U-Net against the same net written plainly.

    python benchmarks/training_step.py        (about two minutes on an idle machine with 2 cores)

The plain net is tests/reference_unet.py: channels first, `nn.MultiheadAttention` as it is called by default,
a linear layer per time shift, Adam as it is built by default; its weights are those of ours. The ways in
between show where the difference comes from. Goal: 1.4 times faster.
"""

import argparse
import sys
from pathlib import Path

import torch
from timing import alternate, environment, table, write
from torch.nn import functional as F  # noqa: N812

from memhorizon.networks.unet import UNetConfig
from memhorizon.training import OptimizerConfig

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from reference_unet import PlainAttention, PlainUNet  # noqa: E402

CASES = [(8, 16), (16, 8)]  # width, image size


def step_of(net, optimizer, x, index, noise):
    def step():
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(net(x, index), noise).backward()
        optimizer.step()

    return step


def ways(width, size, batch):
    config = UNetConfig(width=width)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 1, size, size, generator=generator)
    noise = torch.randn(batch, 1, size, size, generator=generator)
    index = torch.randint(1, 1000, (batch,), generator=generator)
    ours = config.build((1, size, size), seed=0)

    def plain(fused_attention, **adam):
        twin = PlainUNet.like(ours, config)
        for module in twin.modules():
            if isinstance(module, PlainAttention):
                module.need_weights = not fused_attention
        trained = [parameter for parameter in twin.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(trained, 1e-3, **adam)
        return step_of(twin, optimizer, x, index, noise)

    optimizer = OptimizerConfig(lr=1e-3).build(list(ours.parameters()))
    return {
        "plain": plain(False),
        "plain, fused attention": plain(True),
        "plain, fused attention and update": plain(True, fused=True),
        "memhorizon": step_of(ours, optimizer, x, index, noise),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dry", action="store_true", help="print the table, leave the record alone")
    args = parser.parse_args()
    before = environment()
    rows = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        for width, size in CASES:
            times = alternate(ways(width, size, args.batch), rounds=args.rounds)
            case = {"threads": threads, "width": width, "size": size, "batch": args.batch}
            rows += [{**case, "way": name, **t.row(times["plain"])} for name, t in times.items()]
    print(table(rows))
    if not args.dry:
        command = " ".join(["python", "benchmarks/training_step.py", *sys.argv[1:]])
        print("wrote", write("training_step", command, before, rows, goal={"faster_wall": 1.4}))


if __name__ == "__main__":
    main()
