"""The sets of a training: what follows from them alone is found once, and sets that cannot be used."""

import math

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.measure.reference import Reference


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TRAIN, HOLDOUT = normal(30, 3), normal(50, 3, seed=1)


def test_large_items_are_compared_in_their_main_directions_which_are_found_once():
    reference = Reference.of(normal(20, 100), normal(30, 100, seed=1))
    assert reference.features[1] == "pca30"
    assert reference.features is reference.features


def test_it_is_short_when_shown():
    assert repr(Reference.of(TRAIN, HOLDOUT)) == "Reference(30 training and 50 held-out items of 3)"


BAD = {
    "integers": (lambda: Reference.of(TRAIN.long()), "train: expected finite floats .* got torch.int64"),
    "NaN": (lambda: Reference.of(TRAIN, HOLDOUT * math.nan), "holdout: expected finite floats"),
    "shapes": (lambda: Reference.of(TRAIN, HOLDOUT[:, :2]), r"train, holdout: .* \(3,\) and \(2,\)"),
    "group": (lambda: Reference.of(TRAIN, train_group=torch.arange(3)), "train_group: expected 30 integers"),
    "group of floats": (
        lambda: Reference.of(TRAIN, HOLDOUT, holdout_group=np.zeros(50)),
        "holdout_group: expected 50 integers",
    ),
}


def test_groups_come_as_arrays_as_well():
    group = np.arange(30) // 2
    assert len(Reference.of(TRAIN, train_group=group).first_of_groups) == 15


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
