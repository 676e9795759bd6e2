import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, flat, from_json, to_json
from memhorizon.experiments.executors import Local
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.schedule import ScheduleConfig
from memhorizon.training import OptimizerConfig, TrainConfig

CONFIGS = [
    Config(),
    Config(data=DataConfig(name="mixture", n_train=16), model=MLPConfig(width=64), seed=3),
    Config(
        data=DataConfig(name="gaussian", dim=5),
        model=FeaturesConfig(n_features=40, activation="tanh", t=0.1),
        train=TrainConfig(n_updates=100, batch_size=None, diffusion_time=0.1),
        measure=MeasureConfig(first=10),
    ),
    Config(model=UNetConfig(multipliers=(1, 2), attention=(False, True)), optimizer=OptimizerConfig("sgd")),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_json_and_back_is_the_same(config):
    assert from_json(to_json(config)) == config
    assert from_json(to_json(config)).key == config.key


def test_the_key_tells_configurations_apart_and_says_what_one_looks_for():
    keys = {config.key for config in CONFIGS}
    assert len(keys) == len(CONFIGS)
    assert CONFIGS[1].key.startswith("mixture-n16-mlp64-seed3-")
    assert replace(CONFIGS[0], optimizer=OptimizerConfig(lr=1e-5)).key != CONFIGS[0].key


def test_a_flat_row_has_every_entry():
    row = flat(CONFIGS[1])
    assert row["data.n_train"] == 16
    assert row["model.kind"] == "MLPConfig"
    assert row["seed"] == 3


def edited(path, value):
    tree = json.loads(to_json(Config()))
    *parents, last = path.split(".")
    node = tree
    for name in parents:
        node = node[name]
    if value is KeyError:
        del node[last]
    else:
        node[last] = value
    return json.dumps(tree)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "configuration: expected JSON"),
        ("{", "configuration: expected JSON"),
        ("[]", "config: expected an object"),
        (edited("data.n_trian", 3), "config.data: unknown entries .'n_trian'"),
        (edited("data.n_train", "many"), "config.data.n_train: expected int"),
        (edited("data.n_train", 1.5), "config.data.n_train: expected int"),
        (edited("data.n_train", True), "config.data.n_train: expected int"),
        (edited("data.n_train", 0), "n_train"),
        (edited("model.kind", "ResNet"), "config.model.kind: expected one of"),
        (edited("model.kind", KeyError), "config.model.kind: expected one of"),
        (edited("model.multipliers", [1, 2, "4"]), r"config.model.multipliers\[2\]: expected int"),
        (edited("model.multipliers", 4), "config.model.multipliers: expected a list"),
        (edited("optimizer.name", "lion"), "config.optimizer.name: expected one of"),
        (edited("optimizer.betas", [0.9]), "config.optimizer.betas: expected 2 entries"),
        (edited("optimizer.lr", -1), "lr: expected a finite number > 0"),
        (edited("train", "long"), "config.train: expected an object"),
        (edited("measure.threshold", 1.5), "threshold"),
        (edited("measure.first", 10**9), "measure.first"),
        (edited("measure.diffusion_times", []), "times"),
        (edited("measure.n_samples", -1), "n_samples"),
        (edited("measure.snapshots", 0), "snapshots"),
        (edited("seed", -1), "seed"),
        (
            edited("measure.sampler.n_solver_steps", 1001),
            "measure.sampler.n_solver_steps: expected at most one per noise",
        ),
        (edited("measure.diffusion_times", [0.1, 1e9]), "measure.diffusion_times"),
        (edited("train.diffusion_time", 1e9), "train.diffusion_time"),
    ],
)
def test_bad_files_are_refused_by_entry(text, message):
    with pytest.raises(InputError, match=message):
        from_json(text)


def test_the_kind_of_a_schedule_is_kept():
    """It has the name of the tag that tells classes apart: a cosine schedule was read back as linear."""
    config = Config(schedule=ScheduleConfig(kind="cosine"))
    assert from_json(to_json(config)) == config


def unchecked(kind, **values):
    """Make a configuration as users do, without the checker of annotations that the tests put before it."""
    made = object.__new__(kind)
    for name, value in (vars(kind()) | values).items():
        object.__setattr__(made, name, value)
    made.__post_init__()
    return made


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *[
            (name, (1.5, 0, True, None, "3", 2**63))
            for name in ("snapshots", "first", "repeats", "n_train_loss")
        ],
        ("n_samples", (1.5, -1, True, None, "3", 2**63)),
        ("threshold", (None, 0, 1, "0.3", math.nan, True)),
        ("diffusion_times", (0.1, (), [0.1], ("a",), (None,), (math.inf,), (0.1, 0.1), (0.1, 0.1000001))),
        ("keep", ("no", 1, None)),
    ],
)
def test_what_cannot_be_measured_is_refused_where_it_is_given(name, values):
    for value in values:
        with pytest.raises(InputError, match=f"^{name}: expected"):
            unchecked(MeasureConfig, **{name: value})


@pytest.mark.parametrize("seed", [1.5, True, None, "1", -1, 2**63])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InputError, match="^seed: expected"):
        unchecked(Config, seed=seed)


def test_numbers_of_numpy_and_fractions_are_saved_as_plain_ones():
    measure = unchecked(
        MeasureConfig,
        n_samples=np.int64(30),
        threshold=Fraction(1, 4),
        diffusion_times=(np.float64(0.1), 0.5, 1),
    )
    given = unchecked(
        Config, data=unchecked(DataConfig, n_train=np.int64(9)), measure=measure, seed=np.int64(3)
    )
    plain = Config(
        data=DataConfig(n_train=9),
        measure=MeasureConfig(n_samples=30, threshold=0.25, diffusion_times=(0.1, 0.5, 1)),
        seed=3,
    )
    assert to_json(given) == to_json(plain)
    assert given.key == plain.key
    assert from_json(to_json(given)) == plain


@pytest.mark.parametrize(
    ("name", "values"),
    [("processes", (-1, 0, 1.5, True, "2")), ("poll", (-1, None, "1", math.nan, math.inf))],
)
def test_processes_that_cannot_be_are_refused_where_they_are_given(name, values):
    """A negative number of them was waited for without end."""
    for value in values:
        with pytest.raises(InputError, match=f"^{name}: expected"):
            unchecked(Local, **{name: value})
    assert Local(None, 0).processes is None


class Mine:
    """A network that is none of the package's."""

    def build(self, item_shape, *, n_levels=1000, seed):
        raise AssertionError


@pytest.mark.parametrize("name", ["data", "model", "schedule", "optimizer", "train", "measure"])
def test_a_part_of_another_kind_is_refused_by_name(name):
    with pytest.raises(InputError, match=f"^{name}: expected"):
        unchecked(Config, **{name: Mine()})


def test_a_network_of_ones_own_is_shown_the_way():
    with pytest.raises(InputError, match=r"model: expected .*got Mine; .*mh\.RunWriter"):
        unchecked(Config, model=Mine())


@pytest.mark.parametrize("time", [None, 1.0])
def test_random_features_are_trained_at_their_time(time):
    """Elsewhere they say nothing; as the theory's losses are at that time alone."""
    with pytest.raises(InputError, match=r"train\.diffusion_time: expected model\.t = 0\.1"):
        Config(model=FeaturesConfig(), train=TrainConfig(diffusion_time=time))
