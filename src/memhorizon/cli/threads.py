"""With how many threads a network is computed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from memhorizon.devices import with_threads
from memhorizon.experiments.config import Config
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.networks.unet import UNetConfig

# Parameters below which one thread computes a network: a second one brings little, and where other programs
# are busy the two wait for each other at every step (10 to 30 times slower in a trial, dev/LOG.md).
SMALL = 2**20


@contextmanager
def fitting_threads(config: Config) -> Iterator[None]:
    """Compute a small network with one thread, unless the user has decided by OMP_NUM_THREADS."""
    is_small = "OMP_NUM_THREADS" not in os.environ and _parameters(config.model) < SMALL
    with with_threads(1 if is_small else torch.get_num_threads()):
        yield


def _parameters(model: UNetConfig | MLPConfig | FeaturesConfig) -> int:
    """Parameters of a network, but for those that depend on the size of the items."""
    item_shape = (1, 32, 32) if isinstance(model, UNetConfig) else (1,)
    return sum(parameter.numel() for parameter in model.build(item_shape, seed=0).parameters())
