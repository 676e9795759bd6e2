"""One training step of the U-Net on a GPU: kernel by kernel, as a CUDA graph, compiled; float32 and bfloat16.

    python benchmarks/gpu_step.py        (one idle GPU, one minute; writes results/benchmarks/gpu_step.json)

The plain net is tests/reference_unet.py in float32 without TF32, Adam as it is built by default. Each way is
timed in five blocks of updates, one way after the other, from the host's time after a wait for the device;
the record holds the median, the shortest and the longest. Goal: width 32, batch 512 at 28x28 at least 2 times
the plain net. Operations are three forward passes (forward, and twice that backward), counted by PyTorch.
Traffic is what the kernels of an update read and write, counted on the CPU, where each goes alone.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from timing import RECORDS, environment
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from memhorizon.networks.unet import UNetConfig
from memhorizon.recipes.settings import SMALL_UNET
from memhorizon.records.files import write_record
from memhorizon.records.table import TableRecord
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from reference_unet import PlainUNet  # noqa: E402

PAPER = UNetConfig(width=32)
COLUMNS = {
    "way": "plain: the plain net; eager: kernel by kernel; graph: a CUDA graph; compiled: compiled as well",
    "width": "of the network",
    "size": "pixels along a side",
    "batch": "images of an update",
    "precision": "float32, or bfloat16 in mixed precision",
    "tf32": "whether products of float32 may be rounded to TF32",
    "ms": "median time of an update",
    "least": "shortest block",
    "most": "longest block",
    "mib": "memory allocated at the peak of an update, without what a graph keeps for itself",
    "tflops": "operations of an update over its time",
    "peak": "the same over the rate of a product of 8192 x 8192 matrices in bfloat16",
}


@dataclass(frozen=True)
class Case:
    way: str
    config: UNetConfig
    size: int
    batch: int
    precision: str
    tf32: bool


GOAL = Case("graph", PAPER, 28, 512, "bfloat16", True)
CASES = [
    Case("plain", PAPER, 28, 512, "float32", False),
    Case("eager", PAPER, 28, 512, "float32", False),
    Case("eager", PAPER, 28, 512, "float32", True),
    Case("eager", PAPER, 28, 512, "bfloat16", True),
    Case("graph", PAPER, 28, 512, "float32", True),
    GOAL,
    Case("eager", PAPER, 28, 128, "bfloat16", True),
    Case("graph", PAPER, 28, 128, "bfloat16", True),
    Case("eager", SMALL_UNET, 8, 32, "float32", True),
    Case("graph", SMALL_UNET, 8, 32, "float32", True),
    Case("compiled", SMALL_UNET, 8, 32, "float32", True),
    Case("compiled", PAPER, 28, 512, "bfloat16", True),
]


def plain(case: Case, device: torch.device) -> Iterator[object]:
    """Updates of the plain net."""
    twin = PlainUNet.like(case.config.build((1, case.size, case.size), seed=0), case.config).to(device)
    optimizer = torch.optim.Adam([p for p in twin.parameters() if p.requires_grad], 1e-3)
    x = torch.randn(case.batch, 1, case.size, case.size, device=device)
    noise = torch.randn_like(x)
    while True:
        index = torch.randint(1, 1000, (case.batch,), device=device)
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(twin(x, index), noise).backward()
        optimizer.step()
        yield None


def ours(case: Case, device: torch.device) -> Iterator[object]:
    """Updates of ours."""
    state = TrainState.new(
        case.config.build((1, case.size, case.size), seed=0).to(device), OptimizerConfig(lr=1e-3)
    )
    data = torch.randn(2 * case.batch, 1, case.size, case.size, device=device)
    config = TrainConfig(10**6, case.batch, precision=case.precision)
    return train(state, data, schedule=Schedule.linear(), config=config, seed=0, launch=case.way)


def timed(case: Case, device: torch.device) -> dict[str, float]:
    """Median, shortest and longest milliseconds of an update, and the memory at its peak."""
    torch.backends.cudnn.allow_tf32 = case.tf32
    torch.backends.cuda.matmul.allow_tf32 = case.tf32
    steps = plain(case, device) if case.way == "plain" else ours(case, device)
    for _ in range(8):
        next(steps)
    count = 10 if case.batch == 512 else 30
    torch.cuda.reset_peak_memory_stats()
    blocks = sorted(block(steps, count) for _ in range(5))
    mib = torch.cuda.max_memory_allocated() / 2**20
    return {"ms": blocks[2], "least": blocks[0], "most": blocks[-1], "mib": mib}


def block(steps: Iterator[object], count: int) -> float:
    """Milliseconds of an update, over some."""
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(count):
        next(steps)
    torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - begun) / count


def operations(config: UNetConfig, size: int) -> int:
    """Of a forward pass per image."""
    net = config.build((1, size, size), seed=0)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 1, size, size), torch.tensor([5]))
    return counter.get_total_flops()


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write; views move none."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        """Do the operation and count its tensors."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        views = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if not views and not func.overloadpacket.__name__.startswith("empty"):
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            self.moved += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return out


def traffic(case: Case) -> float:
    """Bytes that an update of ours moves: a part for each image and one for the weights, from two batches."""
    small, large = (_moved(replace(case, way="eager", batch=batch)) for batch in (4, 8))
    return small + (large - small) * (case.batch - 4) / 4


def _moved(case: Case) -> int:
    steps = ours(case, torch.device("cpu"))
    next(steps)  # makes the moments
    with Traffic() as counter:
        next(steps)
    return counter.moved


def product_rate() -> float:
    """TFLOP/s of a product of two 8192 x 8192 matrices in bfloat16."""
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    multiply = iter(lambda: a @ a, None)
    block(multiply, 3)
    return 2 * 8192**3 / block(multiply, 10) / 1e9


def copy_rate() -> float:
    """TB/s of a copy of 4 GiB on the device, bytes read and written."""
    x = torch.empty(2**30, device="cuda")
    y = torch.empty_like(x)
    copy = iter(lambda: y.copy_(x), None)
    block(copy, 1)
    return 2 * 4 * 2**30 / block(copy, 5) / 1e9


def row_of(case: Case, found: dict[str, float], rate: float) -> dict[str, object]:
    """One row of the record."""
    tflops = 3 * operations(case.config, case.size) * case.batch / found["ms"] / 1e9
    about = {"way": case.way, "width": case.config.width, "size": case.size, "batch": case.batch}
    numbers = {name: float(f"{value:.4g}") for name, value in found.items()}
    shares = {"tflops": float(f"{tflops:.3g}"), "peak": float(f"{tflops / rate:.3g}")}
    return {**about, "precision": case.precision, "tf32": case.tf32, **numbers, **shares}


def record_of(rows: list[dict], rates: dict[str, float], about: dict[str, object]) -> TableRecord:
    """The record, with how many times faster than the plain net the fastest way is at width 32, batch 512."""
    large = {(row["way"], row["precision"], row["tf32"]): row["ms"] for row in rows if row["batch"] == 512}
    fastest = min(large.values())
    return TableRecord(
        "gpu_step",
        command="python benchmarks/gpu_step.py",
        columns=COLUMNS,
        settings=rates,
        summary={"faster": float(f"{large['plain', 'float32', False] / fastest:.3g}")},
        rows=tuple(rows),
        environment=about,
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    about = {**environment(), "device": torch.cuda.get_device_name()}
    rates = {"product_tflops": product_rate(), "copy_tb_per_s": copy_rate()}
    rates["traffic_gb"] = traffic(GOAL) / 1e9
    rows = []
    for case in CASES:
        rows.append(row_of(case, timed(case, torch.device("cuda")), rates["product_tflops"]))
        print(rows[-1])
        torch.cuda.empty_cache()
    write_record(record_of(rows, rates, about), RECORDS / "gpu_step.json")


if __name__ == "__main__":
    main()
