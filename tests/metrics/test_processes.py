"""Two processes that each see half of the batches have one answer: that of all items."""

import subprocess
import sys

import pytest
import torch

from memhorizon import metrics

pytest.importorskip("torchmetrics")

RANK = """
import sys, torch, torch.distributed as dist
from torchmetrics import MetricCollection
from memhorizon import metrics

rank, path = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{path}/meet", rank=rank, world_size=2)
items = torch.load(f"{path}/items.pt", weights_only=True)
collection = MetricCollection([metrics.FMem(), metrics.CT(cells=1), metrics.Recall()])
for kind, rows in items.items():
    for batch in rows.split(10)[rank::2]:
        collection.update(batch, kind=kind)
numbers = {name: number.item() for name, number in collection.compute().items()}
torch.save(numbers, f"{path}/{rank}.pt")
dist.destroy_process_group()
"""


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
def test_two_processes_have_the_answer_of_all_items(tmp_path):
    train = normal(95, 3)
    items = {
        "train": train,
        "holdout": normal(60, 3, seed=1),
        "samples": torch.cat([train[:8], normal(41, 3, seed=2)]),
    }
    torch.save(items, tmp_path / "items.pt")
    ranks = [subprocess.Popen([sys.executable, "-c", RANK, str(rank), str(tmp_path)]) for rank in (0, 1)]
    assert [process.wait(timeout=300) for process in ranks] == [0, 0]
    expected = {}
    for metric, options in ((metrics.f_mem, {}), (metrics.c_t, {"cells": 1}), (metrics.recall, {})):
        found = metric(items["samples"], train, holdout=items["holdout"], **options)
        expected |= found.numbers()
    for rank in (0, 1):
        numbers = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        # the order of the items is another one: sums of ranks and counts are not
        assert numbers == pytest.approx(expected, rel=1e-9)
