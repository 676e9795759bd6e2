"""Axes around a configuration: any field, by its short or dotted name."""

from itertools import product

import numpy as np
import pytest

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.sweep import grid
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.schedule import ScheduleConfig

BASE = Config(data=DataConfig(name="mixture", n_train=8), model=MLPConfig(width=16))


def test_dotted_names_and_short_ones_mean_the_same():
    assert grid(BASE, lr=(1e-3, 1e-2)) == grid(BASE, **{"optimizer.lr": (1e-3, 1e-2)})


def test_all_combinations_in_order():
    names, rates, seeds = ("sgd", "adam"), (1e-3, 1e-2), (0, 1)
    configs = grid(BASE, **{"optimizer.name": names, "optimizer.lr": rates, "seed": seeds})
    found = [(c.optimizer.name, c.optimizer.lr, c.seed) for c in configs]
    assert found == list(product(names, rates, seeds))
    assert all(c.data.subset == c.seed for c in configs)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("schedule.kind", ("linear", "cosine")),
        ("schedule.n_levels", (900, 1000)),
        ("train.prediction", ("noise", "x0", "v")),
        ("train.batch_size", (4, None)),
        ("measure.diffusion_times", ((0.1,), (0.1, 0.3))),
        ("data.subset", (0, 1)),
    ],
)
def test_any_field_is_an_axis(axis, values):
    part, name = axis.split(".")
    assert [getattr(getattr(c, part), name) for c in grid(BASE, **{axis: values})] == list(values)


def test_values_of_numpy_are_plain_ones():
    assert grid(BASE, n_train=np.array([8, 16])) == grid(BASE, n_train=(8, 16))


def test_the_same_run_is_listed_once():
    assert len(grid(BASE, seed=(0, 0, 0))) == 1


def test_a_schedule_keeps_its_kind_through_a_grid():
    base = Config(data=BASE.data, model=BASE.model, schedule=ScheduleConfig("cosine"))
    assert {c.schedule.kind for c in grid(base, seed=(0, 1))} == {"cosine"}


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"optimizer.speed": (1,)}, "optimizer.lr"),
        ({"model": (1,)}, "model.width"),
        ({"model.kind": ("UNetConfig",)}, "expected some of"),
        ({"model.multipliers": ((1, 2),)}, "expected some of"),
        ({"optimizer.lr": ("fast",)}, "config.optimizer.lr"),
        ({"optimizer.name": ("adamW",)}, "adamW"),
        ({"n_train": (8.5,)}, "n_train"),
        ({"n_train": ()}, "n_train"),
        ({"n_train": 8}, "n_train"),
        ({"data.name": "mixture"}, "data.name"),
        ({"n_train": (8,), "data.n_train": (16,)}, "both set data.n_train"),
        ({"seed": (0,), "data.subset": (1,)}, "both set data.subset"),
        ({"optimizer.momentum": (0.0, 0.9)}, "optimizer.momentum"),
    ],
)
def test_what_is_no_axis_is_refused_with_its_name(axes, message):
    with pytest.raises(InputError, match=message):
        grid(BASE, **axes)


def test_a_chosen_subset_is_not_lost_to_the_seed():
    base = Config(data=DataConfig(name="mixture", n_train=8, subset=3), model=MLPConfig(width=16))
    with pytest.raises(InputError, match="subset"):
        grid(base, seed=(0, 1))
    assert grid(Config(model=UNetConfig()), **{"model.multipliers": ((1, 2, 4),)})
