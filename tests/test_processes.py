"""One run by several processes is the run by one, but for rounding; either goes on with the other's state."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, to_json
from memhorizon.experiments.run import execute, run
from memhorizon.experiments.run_directory import RunDir
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.processes import ALONE, Processes, join
from memhorizon.samplers import SamplerConfig
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

CONFIG = Config(
    data=DataConfig(name="mixture", n_train=12, n_holdout=16),
    model=MLPConfig(width=16, blocks=1),
    optimizer=OptimizerConfig(lr=1e-3),
    train=TrainConfig(n_updates=20, batch_size=5, ema=0.9),  # of two processes one takes 2, the other 3
    measure=MeasureConfig(
        snapshots=3, first=5, n_samples=12, sampler=SamplerConfig(n_solver_steps=4), repeats=2
    ),
)
SCRIPT = """
import os, sys, torch
from memhorizon.experiments.config import from_json
from memhorizon.experiments.run import run
from memhorizon.networks.mlp import ResidualMLP

def note(module, inputs):
    if isinstance(module, ResidualMLP) and module.training:
        seen.add(len(inputs[0]))

torch.set_num_threads(1)
torch.nn.modules.module.register_module_forward_pre_hook(note)
for root in sys.argv[2:]:
    seen = set()
    made = run(from_json(sys.argv[1]), root=root, device="cpu")
    with open(f"{root}/parts", "a") as file:
        file.write(f"{os.environ['RANK']} {sorted(seen)} {made.done}\\n")
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# on CPUs alone it starts one process, whatever is asked for (accelerate 1.15)
ACCELERATE = (
    "-m",
    "accelerate.commands.launch",
    "--multi_gpu",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
)
ACCELERATE += ("--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no")


def together(config, folder, *roots, launcher=TORCHRUN):
    """Do runs by two processes, as a launcher starts them."""
    path = folder / "train.py"
    path.write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(path), to_json(config), *map(str, roots)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for root in roots:
        yield RunDir.create(root, config), set((root / "parts").read_text().splitlines())


def assert_same(left, right):
    """Twenty updates by Adam of 1e-3 each, whose gradients are sums in another order: 24 bits of 32."""
    assert left.done
    assert right.done
    assert left.snapshots() == right.snapshots()
    for step in left.snapshots():
        theirs = right.read_snapshot(step)
        for name, weight in left.read_snapshot(step).items():
            torch.testing.assert_close(weight, theirs[name], rtol=1e-4, atol=2e-6)
    losses = [[row["loss"] for row in directory.steps()] for directory in (left, right)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    rows = [[(row["measure"], row["step"]) for row in directory.measures()] for directory in (left, right)]
    assert rows[0] == rows[1]


def interrupted(root, at):
    """A run by one process that was stopped after a snapshot."""
    directory = RunDir.create(root, CONFIG)
    for progress in execute(directory, device="cpu"):
        if progress.step > at:
            break
    assert 0 < directory.last_step() < CONFIG.train.n_updates
    return directory


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return run(CONFIG, root=tmp_path_factory.mktemp("alone"), device="cpu")


def test_two_processes_train_as_one_and_go_on_where_one_stopped(tmp_path, alone):
    roots = [tmp_path / name for name in ("new", "begun", "finished")]
    for root in roots:
        root.mkdir()
    interrupted(roots[1], at=10)
    shutil.copytree(alone.path, roots[2] / alone.path.name)
    new, begun, finished = together(CONFIG, tmp_path, *roots)
    for directory, parts in (new, begun):
        assert_same(alone, directory)
        assert parts == {"0 [2] True", "1 [3] True"}
    assert finished[1] == {"0 [] True", "1 [] True"}
    for name in ("measures.jsonl", "steps.jsonl"):
        assert (finished[0].path / name).read_bytes() == (alone.path / name).read_bytes()


def test_accelerate_starts_them_as_torchrun_does(tmp_path, alone):
    pytest.importorskip("accelerate")
    (made,) = together(CONFIG, tmp_path, tmp_path, launcher=ACCELERATE)
    assert_same(alone, made[0])
    assert made[1] == {"0 [2] True", "1 [3] True"}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("batch", [7, 8, 512])
def test_the_parts_are_the_batch(count, batch):
    items = list(range(batch))
    parts = [items[Processes(rank, count).part(batch)] for rank in range(count)]
    assert sum(parts, []) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all(parts)


def test_without_a_launcher_there_is_one_process():
    assert join("cpu") is ALONE
    assert ALONE.agree(True) is True
    assert ALONE.first


def test_more_processes_than_items_are_refused_by_name():
    state = TrainState.new(CONFIG.model.build((4,), seed=0), CONFIG.optimizer)
    config = TrainConfig(n_updates=2, batch_size=2)
    three = Processes(0, 3)
    steps = train(
        state, torch.zeros(4, 4), schedule=Schedule.linear(), config=config, seed=0, processes=three
    )
    with pytest.raises(InputError, match="batch_size: expected an item for each of 3 processes, got 2"):
        next(steps)
