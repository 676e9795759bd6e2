"""Options checked where they enter: each class that takes options, each kind of wrong value."""

import math

import numpy as np
import pytest
import torch

from memhorizon.checks import check_choice, check_flag, check_number, check_tuple, check_whole
from memhorizon.errors import InputError
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.schedule import Schedule, ScheduleConfig
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train
from typecheck import unchecked

NOT_WHOLE = (1.5, 2.0, math.nan, math.inf, True, "2", None, [2], np.float32(2), torch.tensor(2.0))
NO_NUMBER = (math.nan, math.inf, -math.inf, True, "0.1", None, [0.1], 1j)
WORDS = {
    OptimizerConfig: {"name": ("SGD", "lion", "adamW", None, ["adam"], 0)},
    TrainConfig: {"precision": ("float16", "bf16", None, 32), "prediction": ("eps", "X0", None, ("noise",))},
    ScheduleConfig: {"kind": ("Linear", "sigmoid", None, {"linear": 1})},
    SamplerConfig: {"method": ("DDIM", "euler", None, ["ddim"])},
    FeaturesConfig: {"activation": ("gelu", "Tanh", None, ["tanh"])},
}
WHOLE = {
    TrainConfig: ("n_updates",),
    ScheduleConfig: ("n_levels",),
    SamplerConfig: ("n_solver_steps",),
    MLPConfig: ("width", "blocks"),
    FeaturesConfig: ("n_features",),
    UNetConfig: ("width", "blocks", "heads", "groups"),
}
NUMBERS = {
    OptimizerConfig: ("lr", "momentum", "weight_decay"),
    TrainConfig: ("ema",),
    ScheduleConfig: ("beta_start", "beta_end"),
    FeaturesConfig: ("t",),
    UNetConfig: ("dropout",),
}


CASES = [(kind, name, value) for kind, words in WORDS.items() for name in words for value in words[name]]
CASES += [(kind, name, value) for kind, names in WHOLE.items() for name in names for value in NOT_WHOLE]
CASES += [(kind, name, value) for kind, names in NUMBERS.items() for name in names for value in NO_NUMBER]
CASES += [(TrainConfig, "batch_size", value) for value in NOT_WHOLE if value is not None]
CASES += [(TrainConfig, "diffusion_time", value) for value in (*NO_NUMBER, 0.0, -1.0) if value is not None]
CASES += [
    (OptimizerConfig, "betas", value) for value in ("ab", 0.9, None, (0.9,), (0.9, 1.0), (0.9, math.nan))
]
CASES += [(UNetConfig, "attention", value) for value in ("abc", (1, 0, 1), (True, False), [True] * 3, None)]
CASES += [
    (UNetConfig, "multipliers", value) for value in ("124", (1, 2.0, 4), (1, 0, 4), (), 4, (1, True, 4))
]


@pytest.mark.parametrize(("kind", "name", "value"), CASES, ids=lambda v: getattr(v, "__name__", repr(v)))
def test_a_wrong_option_is_refused_by_its_name(kind, name, value):
    with pytest.raises(InputError, match=f"^{name}: expected"):
        unchecked(kind, **{name: value})


@pytest.mark.parametrize("kind", [*WORDS, MLPConfig, UNetConfig])
def test_the_defaults_pass(kind):
    unchecked(kind)


def test_what_is_right_passes():
    check_choice("a", "x", ("x", "y"))
    for value in (0, 3, np.int64(2), np.uint8(3)):
        check_whole("a", value, least=0, most=3)
    for value in (0, 0.5, np.float32(0.25), np.int64(0)):
        check_number("a", value, least=0, below=1)
    check_number("a", -5)
    check_flag("a", False)
    check_tuple("a", (), size=0)


@pytest.mark.parametrize("value", [-1, 4, np.int64(9)])
def test_ends_are_named(value):
    with pytest.raises(InputError, match=r"a: expected a whole number of at least 0 and at most 3, got "):
        check_whole("a", value, least=0, most=3)


def test_a_schedule_of_one_level_trains_nothing_and_says_so():
    state = TrainState.new(MLPConfig(8, 1).build((4,), seed=0), OptimizerConfig())
    config = TrainConfig(n_updates=2)
    with pytest.raises(InputError, match="schedule: expected at least 2 levels"):
        train(state, torch.zeros(8, 4), schedule=Schedule.linear(1), config=config, seed=0)  # at the call


DATA = {
    "no items": torch.zeros(0, 4),
    "NaN": torch.full((3, 4), math.nan),
    "integers": torch.zeros(3, 4, dtype=torch.uint8),
    "complex": torch.zeros(3, 4, dtype=torch.complex64),
    "vector": torch.zeros(3),
    "number": torch.tensor(1.0),
    "array": np.zeros((3, 4), dtype=np.float32),
    "list": [[0.0]],
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_cannot_be_trained_on_are_refused(name):
    state = TrainState.new(MLPConfig(8, 1).build((4,), seed=0), OptimizerConfig())
    run = getattr(train, "__wrapped__", train)  # past the checker of annotations
    with pytest.raises(InputError, match="data: expected"):
        run(state, DATA[name], schedule=Schedule.linear(), config=TrainConfig(n_updates=2), seed=0)
