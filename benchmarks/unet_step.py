"""One training step of the U-Net against diffusers' UNet2DModel of as many parameters, same optimizer.

    pip install diffusers && python benchmarks/unet_step.py        (three minutes)

Goals: 1.4, 1.4 and 1.2 times faster (in the order of the cases), on one thread. The heads of diffusers'
attention have one width at all resolutions, so its coarsest has eight where ours has four; all else is equal.
"""

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import version

import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from timing import alternate, environment, table, write
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from memhorizon.networks.unet import UNetConfig
from memhorizon.training import OptimizerConfig

CASES = [(16, 8, 32), (8, 16, 64), (32, 32, 16)]  # width, image size, batch
GOALS = [1.4, 1.4, 1.2]
COLUMNS = {
    "threads": "of PyTorch",
    "width": "of the network",
    "size": "pixels along a side",
    "batch": "images of a step",
    "way": "whose network",
    "parameters": "trained ones",
    "wall_ms": "median time of a step",
    "cpu_ms": "median processor time of a step",
    "faster_wall": "median over rounds: time of diffusers over this one, of the same round",
    "faster_wall_low": "first decile of it",
    "faster_wall_high": "last decile of it",
    "faster_cpu": "the same with processor times",
}


def theirs(width: int, size: int) -> UNet2DModel:
    """The network of diffusers with the channels, blocks and attention of the paper's."""
    return UNet2DModel(
        sample_size=size,
        in_channels=1,
        out_channels=1,
        block_out_channels=(width, 2 * width, 4 * width),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=width // 2,
    )


def ways(width: int, size: int, batch: int) -> tuple[dict[str, Callable[[], None]], dict[str, int]]:
    """A step of each network, and how many parameters it has."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 1, size, size, generator=generator)
    noise = torch.randn(x.shape, generator=generator)
    index = torch.randint(1, 1000, (batch,), generator=generator)
    networks: dict[str, nn.Module] = {
        "diffusers": theirs(width, size),
        "memhorizon": UNetConfig(width=width).build((1, size, size), seed=0),
    }
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in networks.items()}
    return {name: step_of(net, x, index, noise) for name, net in networks.items()}, counts


def step_of(net: nn.Module, x: Tensor, index: Tensor, noise: Tensor) -> Callable[[], None]:
    optimizer = OptimizerConfig(lr=1e-3).build(list(net.parameters()))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        output = net(x, index)
        F.mse_loss(output if isinstance(output, Tensor) else output.sample, noise).backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--dry", action="store_true", help="print the table, leave the record alone")
    args = parser.parse_args()
    before = environment()
    torch.set_num_threads(1)
    rows = []
    for width, size, batch in CASES:
        steps, counts = ways(width, size, batch)
        times = alternate(steps, rounds=args.rounds if width < 32 else args.rounds // 4)
        case = {"threads": 1, "width": width, "size": size, "batch": batch}
        rows += [
            {**case, "way": name, "parameters": counts[name], **t.row(times["diffusers"])}
            for name, t in times.items()
        ]
    print(table(rows))
    if not args.dry:
        command = " ".join(["python", "benchmarks/unet_step.py", *sys.argv[1:]])
        about = {**before, "diffusers": version("diffusers")}
        print("wrote", write("unet_step", command, about, rows, columns=COLUMNS, goal={"faster_wall": GOALS}))


if __name__ == "__main__":
    main()
