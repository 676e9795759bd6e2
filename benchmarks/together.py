"""Eight residual MLPs trained together, by stacked weights and batched products, against one after the other.

    python benchmarks/together.py        (five minutes)

Goal: 2 times faster on one thread, so that a sweep could train its small networks in groups. Bare steps are
compared (forward, backward, an update by Adam): batch, noise and levels of each network have to be drawn from
its seed either way. With one process per core each would do this, so two cores change nothing in the ratio.
"""

import argparse
import sys
from collections.abc import Callable, Mapping

import torch
from timing import alternate, environment, table, write
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F  # noqa: N812

from memhorizon.networks.mlp import MLPConfig, ResidualMLP
from memhorizon.training import OptimizerConfig

COUNT = 8
DIM = 8
WIDTHS = [64, 128, 256]
BATCHES = [32, 128, 512]
COLUMNS = {
    "threads": "of PyTorch",
    "width": "of each network",
    "batch": "items of a step of each network",
    "way": "alone: one after the other; together: batched products by hand; vmap: the same by torch.func",
    "wall_ms": "median time of a step of all eight",
    "cpu_ms": "median processor time of it",
    "faster_wall": "median over rounds: time of alone over this one, of the same round",
    "faster_wall_low": "first decile of it",
    "faster_wall_high": "last decile of it",
    "faster_cpu": "the same with processor times",
}
Weights = Mapping[str, Tensor]


def networks(width: int) -> list[ResidualMLP]:
    """Eight networks."""
    return [MLPConfig(width=width).build((DIM,), seed=seed) for seed in range(COUNT)]


def linear(h: Tensor, name: str, weights: Weights) -> Tensor:
    """A layer of all networks: h [network, batch, in] to [network, batch, out]."""
    return torch.baddbmm(weights[f"{name}.bias"][:, None], h, weights[f"{name}.weight"].mT)


def outputs(weights: Weights, x: Tensor, time: Tensor, blocks: int) -> Tensor:
    """What all networks give at x [network, batch, d] and the embedded times [network, batch, width]."""
    h = linear(x, "inlet", weights)
    for block in range(blocks):
        name = f"blocks.{block}"
        inner = F.gelu(linear(h + time, f"{name}.inner", weights))
        h = F.layer_norm(h + linear(inner, f"{name}.outer", weights), h.shape[-1:])
        gain = weights[f"{name}.norm.weight"][:, None]
        h = torch.addcmul(weights[f"{name}.norm.bias"][:, None], h, gain)
    return linear(h, "outlet", weights)


def alone(width: int, x: Tensor, index: Tensor, noise: Tensor) -> Callable[[], None]:
    """A step of each network, one after the other."""
    nets = networks(width)
    optimizers = [OptimizerConfig(lr=1e-3).build(list(net.parameters())) for net in nets]

    def step() -> None:
        for k, (net, optimizer) in enumerate(zip(nets, optimizers, strict=True)):
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(net(x[k], index[k]), noise[k]).backward()
            optimizer.step()

    return step


def together(width: int, x: Tensor, index: Tensor, noise: Tensor) -> Callable[[], None]:
    """The same as one step on stacked weights; Adam works entry by entry, so one does for all."""
    nets = networks(width)
    weights, _ = stack_module_state(nets)
    time = nets[0].time.table
    return stacked(weights, noise, lambda: outputs(weights, x, time[index], len(nets[0].blocks)))


def mapped(width: int, x: Tensor, index: Tensor, noise: Tensor) -> Callable[[], None]:
    """The same by torch.func.vmap over the network."""
    nets = networks(width)
    weights, buffers = stack_module_state(nets)
    call = vmap(lambda *part: functional_call(nets[0], part[:2], part[2:]))
    return stacked(weights, noise, lambda: call(weights, buffers, x, index))


def stacked(weights: dict[str, Tensor], noise: Tensor, found: Callable[[], Tensor]) -> Callable[[], None]:
    """A step of Adam on stacked weights, by the sum of the losses of all networks."""
    optimizer = torch.optim.Adam(list(weights.values()), 1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        (found() - noise).square().flatten(1).mean(1).sum().backward()
        optimizer.step()

    return step


def ways(width: int, batch: int) -> dict[str, Callable[[], None]]:
    """A step of eight networks in each way, on the same items."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT, batch, DIM, generator=generator)
    noise = torch.randn(x.shape, generator=generator)
    index = torch.randint(1, 1000, (COUNT, batch), generator=generator)
    made = {"alone": alone, "together": together, "vmap": mapped}
    return {name: make(width, x, index, noise) for name, make in made.items()}


def check(width: int, batch: int) -> None:
    """Stop if the stacked networks do not give what each gives alone."""
    nets = networks(width)
    weights, _ = stack_module_state(nets)
    x = torch.randn(COUNT, batch, DIM, generator=torch.Generator().manual_seed(1))
    index = torch.arange(batch).expand(COUNT, batch)
    stacked = outputs(weights, x, nets[0].time.table[index], len(nets[0].blocks))
    each = torch.stack([net(x[k], index[k]) for k, net in enumerate(nets)])
    torch.testing.assert_close(stacked, each, rtol=1e-4, atol=1e-5)  # twenty roundings of 32 bits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--dry", action="store_true", help="print the table, leave the record alone")
    args = parser.parse_args()
    before = environment()
    torch.set_num_threads(1)
    rows = []
    for width in WIDTHS:
        for batch in BATCHES:
            check(width, batch)
            times = alternate(ways(width, batch), rounds=args.rounds)
            case = {"threads": 1, "width": width, "batch": batch}
            rows += [{**case, "way": name, **t.row(times["alone"])} for name, t in times.items()]
    print(table(rows))
    if not args.dry:
        command = " ".join(["python", "benchmarks/together.py", *sys.argv[1:]])
        settings = {"goal": {"faster_wall": 2.0}, "networks": COUNT, "dim": DIM}
        print("wrote", write("together", command, before, rows, columns=COLUMNS, **settings))


if __name__ == "__main__":
    main()
