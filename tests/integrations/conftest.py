import random

import jaxtyping
import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def trainings_move_the_global_generators():
    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    torch.random.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


@pytest.fixture
def unchecked(monkeypatch):
    """As users have it: without the checker of annotations, which runs in tests only."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
