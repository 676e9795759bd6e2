"""A state is gone on from by a monitor of the same training alone."""

import copy
import math

import pytest
import torch

import memhorizon as mh
from watched_training import items, monitor, network


@pytest.fixture(scope="module")
def state():
    watch = monitor()
    model = network()
    for step in (2, 5, 10):
        watch.update(step, model)
    return watch.state_dict()


def sets(n=20, first=0, dim=6):
    return {"train": items(n, first, dim), "holdout": items(20, 1, dim)}


def other(train, **changes):
    return mh.Monitor(train, **({"target": 0.3, "sampler": mh.SamplerConfig("ddim", 4)} | changes))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: other(**sets(first=5)), "train"),
        (lambda: other(**sets(n=19)), "train"),
        (lambda: other(**sets(dim=5)), "train, holdout"),
        (lambda: monitor(holdout=None), "holdout"),
        (lambda: monitor(holdout=items(20, 7)), "holdout"),
        (lambda: monitor(target=0.05), "target"),
        (lambda: monitor(seed=5), "seed"),
        (lambda: monitor(sampler=mh.SamplerConfig("ddim", 5)), "sampler"),
    ],
)
def test_that_of_another_training_is_refused(state, make, words):
    watch = make()
    with pytest.raises(mh.InputError, match=f"state: expected that of this training, .* another {words}"):
        watch.load_state_dict(state)
    assert watch.history == ()


def test_the_budget_may_change(state):
    watch = monitor(budget=0.1, batch_size=7)
    watch.load_state_dict(state)
    assert [look.step for look in watch.history] == [2, 5, 10]


def test_a_state_that_has_the_reason_of_its_verdict_whole_is_gone_on_from(state):
    """As version 4 wrote it: the looks tell which part of it is that of the samples."""
    older = copy.deepcopy(state) | {"version": 4}
    older["seen"].pop("finding")
    watch = monitor()
    watch.load_state_dict(older)
    assert watch.verdict.reason == older["seen"]["verdict"]["reason"]
    other = monitor()
    other.load_state_dict(state)
    assert watch.state_dict()["seen"] == other.state_dict()["seen"]


@pytest.mark.parametrize("name", ["due", "next_sample", "next_seed", "certificates", "kept", "rows"])
def test_counters_that_are_none_are_refused(state, name):
    wrong = copy.deepcopy(state)
    wrong[name] = -5
    with pytest.raises(mh.InputError, match=f"state.{name}"):
        monitor().load_state_dict(wrong)


def test_damaged_entries_are_refused(state):
    for change, words in (
        ({"lowest": torch.zeros(3)}, "lowest"),
        ({"purse": {**state["purse"], "train_seconds": math.nan}}, "purse.train_seconds"),
        ({"purse": {**state["purse"], "on_rest": -1.0}}, "purse.on_rest"),
        ({"seen": {**state["seen"], "candidates": [3]}}, "candidates"),
        ({"of": None}, "state.of"),
    ):
        with pytest.raises(mh.InputError, match=words):
            monitor().load_state_dict({**state, **change})
