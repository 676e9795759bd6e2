"""What a run will take: the sum is right, what is alike is timed once, calls are counted as they are made."""

import itertools
import time
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from memhorizon.datasets.split import DataConfig, load_split
from memhorizon.errors import InputError
from memhorizon.experiments import cost as costing
from memhorizon.experiments.config import Config
from memhorizon.experiments.cost import Cost, costs, wall_seconds
from memhorizon.experiments.rows import observed, reference_of
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.training import TrainConfig

SMALL = Config(
    data=DataConfig(name="mixture", n_train=8, n_holdout=20),
    model=MLPConfig(width=16, blocks=1),
    train=TrainConfig(n_updates=100),
    measure=MeasureConfig(
        snapshots=3, first=1, n_samples=30, sampler=SamplerConfig(n_solver_steps=4), repeats=2
    ),
)


@pytest.mark.parametrize(
    ("done", "updates", "snapshots"),
    [(0, 100, 3), (1, 99, 2), (10, 90, 1), (99, 1, 1)],  # snapshots are taken after 1, 10 and 100
)
def test_what_is_left_of_a_run_is_the_sum_of_its_parts(done, updates, snapshots):
    cost = Cost(start=1000.0, update=1.0, snapshot=10_000.0)
    assert cost.seconds(SMALL, done=done) == 1000 + updates + 10_000 * snapshots


def test_the_log_has_a_row_for_each_update_up_to_a_few_hundred_and_one_for_each_snapshot():
    cost = Cost(start=0.0, update=0.0, snapshot=0.0, row=1.0)
    assert cost.seconds(SMALL) == 100 + 3
    assert cost.seconds(replace(SMALL, train=TrainConfig(n_updates=40_000))) == 400 + 3


def test_a_finished_run_takes_no_time():
    assert Cost(1.0, 1.0, 1.0).seconds(SMALL, done=100) == 0


def test_the_wall_time_is_that_of_a_simulation_in_small_steps():
    seconds = [7, 5, 4, 4, 3, 2, 1]
    for processes in (1, 2, 3, 10):
        left, waiting, clock = [], list(seconds), 0
        while waiting or left:
            while waiting and len(left) < processes:
                left.append(waiting.pop(0))
            left = [rest - 1 for rest in left if rest > 1]
            clock += 1
        assert wall_seconds(seconds, processes) == clock


def test_what_costs_the_same_is_timed_once():
    """Seeds and rates change nothing; the number of items does."""
    configs = [
        SMALL,
        replace(SMALL, seed=3, data=replace(SMALL.data, subset=3)),
        replace(SMALL, optimizer=replace(SMALL.optimizer, lr=0.5), train=TrainConfig(n_updates=7)),
        replace(SMALL, data=replace(SMALL.data, n_train=16)),
    ]
    found = list(costs(configs, threads=1))
    assert found[0] == found[1] == found[2] != found[3]
    assert all(value > 0 for cost in found for value in (cost.start, cost.update, cost.snapshot))


def test_threads_are_put_back():
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        next(costs([SMALL], threads=1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = []

    def forward(self, x, index):
        self.rows.append(len(x))
        return 0.5 * x


@pytest.mark.parametrize("sampler", ["ddim", "heun"])
def test_the_calls_of_a_snapshot_are_those_that_are_made(sampler):
    config = replace(SMALL, measure=replace(SMALL.measure, sampler=SamplerConfig(sampler, n_solver_steps=4)))
    split, network = load_split(config.data), Counting()
    observed(network, reference_of(split), config)
    _, calls = costing._free_snapshot(config, split)
    assert sum(rows * count for rows, count in calls.items()) == sum(network.rows)


def test_many_samples_are_scaled_from_fewer(monkeypatch):
    """With at most 100 samples tried, the calls for 350 are 3.5 times those."""
    monkeypatch.setattr(costing, "PATH_VALUES", 1)
    config = replace(SMALL, measure=replace(SMALL.measure, n_samples=350))
    split, network = load_split(config.data), Counting()
    observed(network, reference_of(split), config)
    _, calls = costing._free_snapshot(config, split)
    assert sum(rows * count for rows, count in calls.items()) == pytest.approx(sum(network.rows))


@dataclass(frozen=True)
class Sleepy(MLPConfig):
    """A network whose calls take known time: sleep is at least as long as it is asked to be."""

    def build(self, item_shape, *, n_levels=1000, seed):
        return SleepyNetwork()


class SleepyNetwork(nn.Module):
    SECONDS = 0.004

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, index):
        time.sleep(self.SECONDS)
        return self.weight * x


def test_a_network_of_known_speed():
    """An update is one call and a snapshot, by its definition, 4 times (8 + 20 items in a batch each) * 2
    repeats and 4 solver steps; on a busy machine sleep takes longer, never less."""
    config = replace(SMALL, model=Sleepy())
    cost = next(costs([config], threads=1))
    calls = (
        len(config.measure.diffusion_times) * 2 * config.measure.repeats
        + config.measure.sampler.n_solver_steps
    )
    assert cost.update >= SleepyNetwork.SECONDS
    assert cost.snapshot >= SleepyNetwork.SECONDS * calls


def test_large_batches_are_timed_on_fewer_items(monkeypatch):
    """Time in proportion to the items is extrapolated exactly, from sizes that fit the budget."""
    sizes = []

    def timings(size):
        sizes.append(size)
        return itertools.repeat(0.01 * size, 40)

    assert costing._scaled(1000, timings) == pytest.approx(10.0)
    assert max(sizes) < 100


def test_a_run_that_cannot_be_done_does_not_keep_the_others_from_being_timed():
    bad = replace(SMALL, data=DataConfig(name="digits", n_train=5000))
    found = list(costs([bad, SMALL], threads=1))
    assert isinstance(found[0], InputError)
    assert "5000" in str(found[0])
    assert isinstance(found[1], Cost)


def test_an_unknown_device_is_refused():
    with pytest.raises(InputError, match="device"):
        next(costs([SMALL], device="abacus"))
