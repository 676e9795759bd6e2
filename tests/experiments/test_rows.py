"""The rows of a snapshot of a run: sets too small for a measure, duplicates, poor networks."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from memhorizon.datasets.split import DataConfig, Split, load_split
from memhorizon.diffusion import ideal_model
from memhorizon.distributions import Empirical
from memhorizon.experiments import rows
from memhorizon.experiments.config import Config
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.schedule import Schedule
from memhorizon.training import TrainConfig

SMALL = MeasureConfig(first=1, snapshots=1, n_samples=60, sampler=SamplerConfig(n_solver_steps=20), repeats=1)


class Memorizer(nn.Module):
    """The perfect memorizer, but for the last digits of a trained network (the same at every call)."""

    def __init__(self, points, scale=1.0):
        super().__init__()
        self.ideal, self.scale = ideal_model(Empirical(points.double()), Schedule.linear(), "x0"), scale

    def forward(self, x, index):
        return self.scale * (self.ideal(x, index) + 1e-3 * torch.sin(1e3 * x))


def split_of(train, holdout):
    return Split("file", train, holdout, torch.arange(len(train)), torch.arange(len(holdout)))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def config_of(**measure):
    return Config(model=MLPConfig(), train=TrainConfig(prediction="x0"), measure=replace(SMALL, **measure))


def rows_of(split, scale=1.0, **measure):
    seen = rows.observed(Memorizer(split.train, scale), rows.reference_of(split), config_of(**measure))
    return {row["measure"]: row for row in rows.rows_of(seen)}, rows.tensors_of(seen.shown)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_perfect_memorizer_is_one_however_often_its_items_occur(times):
    split = split_of(torch.cat([normal(50, 8)] * times), normal(40, 8, seed=1))
    found, kept = rows_of(split)
    assert found["memorized"]["value"] == 1.0
    assert found["memorized"]["null_count"] == 0
    assert bool((kept["ratio"] < 1 / 3).all())
    # copies are equal to the training items beside them, up to the network's last digits
    assert float((kept["samples"] - kept["neighbours"]).abs().max()) < 2e-3


MISSING = {  # what a split of these sizes cannot be measured for
    (1, 40): {"memorized"},
    (20, 1): {"frechet", "kernel"},
    (20, 0): {"holdout", "gap", "frechet", "kernel"},
    (1, 0): {"memorized", "holdout", "gap", "frechet", "kernel"},
}
ALL = {"train", "holdout", "gap", "invalid", "memorized", "frechet", "kernel"}


@pytest.mark.parametrize("sizes", MISSING, ids=str)
def test_what_a_set_is_too_small_for_is_left_out(sizes):
    found, kept = rows_of(split_of(normal(sizes[0], 8), normal(sizes[1], 8, seed=1)))
    assert set(found) == ALL - MISSING[sizes]
    assert len(kept["samples"]) == 24
    assert all(
        value is None or not isinstance(value, float) or math.isfinite(value) for value in kept["ratio"]
    )


def test_one_item_many_times_has_no_second_one():
    found, kept = rows_of(split_of(normal(1, 8).repeat(9, 1), normal(40, 8, seed=1)))
    assert "memorized" not in found
    assert not bool(kept["ratio"].isnan().any())


def test_no_samples_leave_the_losses():
    found, kept = rows_of(split_of(normal(9, 8), normal(40, 8, seed=1)), n_samples=0)
    assert set(found) == {"train", "holdout", "gap"}
    assert kept == {}


@pytest.mark.parametrize("scale", [0.01, 40.0, 1e4])
def test_a_network_whose_samples_lie_in_another_range_is_measured_all_the_same(scale):
    items = torch.rand(50, 8, generator=torch.Generator().manual_seed(0))
    found, _ = rows_of(split_of(items, items.flip(0)), scale=scale)
    assert found["memorized"]["count"] == 0
    assert found["frechet"]["value"] > 0.01


def test_the_known_law_is_measured_beside():
    split = load_split(DataConfig(name="mixture", n_train=20, n_holdout=20))
    found, _ = rows_of(split)
    assert set(found) == ALL | {"score_error", "kl"}


def test_items_saved_several_times_are_no_further_evidence():
    """Sets of which every item occurs four times give the numbers of the items themselves."""
    train, holdout = normal(50, 8), normal(45, 8, seed=1)
    once, _ = rows_of(split_of(train, holdout))
    often, _ = rows_of(split_of(torch.cat([train] * 4), torch.cat([holdout] * 4)))
    assert often["memorized"]["null_total"] == 45
    for name in ("train", "holdout", "gap", "frechet", "kernel"):
        for key in ("value", "se"):
            assert often[name][key] == pytest.approx(once[name][key], rel=1e-3)  # the network's own rounding
