"""The metrics in torchmetrics' form: equal to the functions whatever the batches, and at home there."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

from memhorizon import metrics
from memhorizon.errors import InputError
from memhorizon.measure.features import pca_features
from memhorizon.metrics import METRICS

torchmetrics = pytest.importorskip("torchmetrics")
NAMES = list(METRICS)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SETS = {
    "train": normal(120, 1, 3, 2),
    "holdout": normal(90, 1, 3, 2, seed=1),
    "samples": torch.cat([0.9 * normal(70, 1, 3, 2, seed=2), normal(120, 1, 3, 2)[:10]]),
}


class Half(nn.Module):
    """Features: some of the entries, scaled."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.scale * x.flatten(1)[:, :3]


def made(name, **options):
    return getattr(metrics, METRICS[name].accumulator)(**options)


def fed(metric, sets=SETS, size=1000):
    """Give all sets, in batches that alternate."""
    parts = {kind: list(items.split(size)) for kind, items in sets.items()}
    while any(parts.values()):
        for kind, batches in parts.items():
            if batches:
                metric.update(batches.pop(0), kind=kind)
    return metric


def expected_of(name, **options):
    return METRICS[name].function(SETS["samples"], SETS["train"], holdout=SETS["holdout"], **options)


def as_floats(numbers):
    return {name: float(number) for name, number in numbers.items()}


@pytest.mark.parametrize("features", [None, Half()], ids=["entries", "features"])
@pytest.mark.parametrize("name", NAMES)
def test_equal_the_function_whatever_the_batches(name, features):
    expected = expected_of(name, features=features).numbers()
    for size in (1000, 17):
        found = fed(made(name, features=features), size=size).compute()
        assert as_floats(found) == pytest.approx(expected, rel=1e-12)
        assert all(number.shape == () for number in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_measurement_has_all_the_evidence(name):
    metric = fed(made(name))
    found, expected = metric.measurement(), expected_of(name)
    assert (found.value, found.null, found.sizes) == (expected.value, expected.null, expected.sizes)
    assert metric.higher_is_better is METRICS[name].higher_is_better


def test_options_are_those_of_the_function():
    metric = made("f_mem", threshold=0.8, group="near")
    assert fed(metric).measurement().value == expected_of("f_mem", threshold=0.8, group="near").value


def test_one_call_feeds_a_collection_and_the_items_are_kept_once():
    collection = torchmetrics.MetricCollection([made(name) for name in NAMES])
    found = as_floats(fed(collection, size=50).compute())
    expected = {key: number for name in NAMES for key, number in expected_of(name).numbers().items()}
    assert found == pytest.approx(expected, rel=1e-12)
    assert len(collection.compute_groups) == 1
    kept = [metric.train_items for metric in collection.values(copy_state=False)]
    assert all(items is kept[0] for items in kept)


def test_a_collection_with_other_features_and_thresholds():
    collection = torchmetrics.MetricCollection(
        {
            "pixels": made("f_mem"),
            "loose": made("f_mem", threshold=0.9),
            "part": made("f_mem", features=Half()),
        }
    )
    found = as_floats(fed(collection, size=50).compute())
    assert found["pixels_f_mem"] == expected_of("f_mem").value.value
    assert found["loose_f_mem"] == expected_of("f_mem", threshold=0.9).value.value
    assert found["part_f_mem"] == expected_of("f_mem", features=Half()).value.value
    assert len(collection.compute_groups) == 2


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save all:UserWarning")
def test_beside_the_metrics_of_torchmetrics_with_their_word():
    """`real=` alone feeds both; with `kind="holdout"` theirs compares with held-out items."""
    fid = pytest.importorskip("torchmetrics.image.fid").FrechetInceptionDistance
    with torch.random.fork_rng():  # it draws from the global generator
        theirs = fid(feature=Half(), input_img_size=(1, 3, 2))
        collection = torchmetrics.MetricCollection([theirs, made("f_mem"), made("frechet", features=Half())])
        collection.update(SETS["train"], real=True)
        collection.update(SETS["samples"], real=False, kind="samples")
        found = as_floats(collection.compute())
    assert found["f_mem"] == expected_of("f_mem").value.value
    assert found["frechet"] == pytest.approx(expected_of("frechet", features=Half()).value.value)
    # theirs sums in 32 bits in part
    assert found["FrechetInceptionDistance"] == pytest.approx(found["frechet"], rel=1e-3)
    collection.update(SETS["holdout"], real=True, kind="holdout")
    assert collection["FMem"].measurement().sizes["holdout"] == 90


def test_reset_forgets_all_or_the_samples_alone():
    metric = fed(made("f_mem"))
    metric.reset()
    metric.update(SETS["samples"], kind="samples")
    with pytest.raises(
        InputError, match=r'train: expected items, got none: call update\(items, kind="train"\)'
    ):
        metric.compute()
    kept = fed(made("f_mem", reset_real=False))
    kept.reset()
    assert kept.samples_items_kept == []
    kept.update(SETS["samples"][:20], real=False)
    found = kept.measurement()
    assert found.sizes == {"samples": 20, "train": 120, "holdout": 90}
    kept.update(SETS["samples"][20:], real=False)
    assert kept.measurement().value == expected_of("f_mem").value


def test_metrics_that_are_reset_differently_share_nothing():
    forgets, keeps = made("f_mem"), made("precision", reset_real=False)
    collection = fed(torchmetrics.MetricCollection([forgets, keeps]))
    assert len(collection.compute_groups) == 2
    collection.reset()
    assert (len(forgets.train_items), len(keeps.train_items_kept)) == (0, 1)


def test_held_out_items_are_asked_for_where_they_are_needed():
    metric = made("c_t")
    metric.update(SETS["train"], kind="train")
    metric.update(SETS["samples"], kind="samples")
    with pytest.raises(InputError, match="holdout: expected items, got none"):
        metric.compute()


def test_it_can_be_copied_and_sent_to_a_process():
    metric = fed(made("precision", k=4))
    expected = metric.compute()
    collection = torchmetrics.MetricCollection([metric]).clone(prefix="val_")
    assert collection.compute()["val_precision"] == expected["precision"]
    for twin in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        twin.update(SETS["train"], kind="samples")
        assert twin.measurement().sizes["samples"] == 200
    assert metric.measurement().sizes["samples"] == 80


def test_a_network_of_features_is_left_as_it_was():
    network = Half().train()
    fed(made("f_mem", features=network))
    assert network.training
    assert network.scale.grad is None


BAD = {
    "no set": ({}, 'kind: expected "samples", "train" or "holdout"'),
    "other word": ({"kind": "test"}, 'kind: expected one of "samples", "train", "holdout", got \'test\''),
    "contradiction": ({"real": True, "kind": "samples"}, 'real, kind: expected real=False with "samples"'),
    "contradiction of held-out items": (
        {"real": False, "kind": "holdout"},
        "real, kind: expected real=False",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_the_set_has_to_be_named(case):
    where, message = BAD[case]
    with pytest.raises(InputError, match=message):
        made("f_mem").update(SETS["train"], **where)


def test_batches_have_to_fit_one_another():
    metric = made("f_mem")
    metric.update(SETS["train"], kind="train")
    with pytest.raises(
        InputError, match=r"items: expected items of one shape, got \(1, 2, 2\) after \(1, 3, 2\)"
    ):
        metric.update(SETS["samples"][:, :, :2], kind="samples")
    pixels = SETS["train"].sigmoid().mul(255).byte()
    with pytest.raises(InputError, match="items: expected torch.float32 as in the batches of train"):
        metric.update(pixels, kind="train")
    of_features = made("f_mem", features=Half())
    of_features.update(SETS["train"].sigmoid(), kind="train")
    with pytest.raises(InputError, match="items: expected torch.float32 as in the batches of train, got"):
        of_features.update(pixels, kind="samples")


def test_features_of_a_projection_have_its_unit():
    metric = made("frechet", features=pca_features(SETS["train"].sigmoid(), 3))
    with pytest.raises(InputError, match="the data of pca_features"):
        metric.update(SETS["train"].sigmoid() * 255, kind="train")


def test_bytes_and_floats_of_different_sets_are_brought_to_one_unit():
    pixels = SETS["train"].sigmoid().mul(255).round().byte()
    metric = made("f_mem")
    metric.update(pixels, kind="train")
    metric.update(pixels[:30].float() / 255, kind="samples")
    assert metric.measurement().value.value == 1.0


OPTIONS = {
    "threshold": ("f_mem", {"threshold": 2.0}, "threshold: expected"),
    "k": ("precision", {"k": 0}, "k: expected a whole number of at least 1"),
    "group": ("auth_pct", {"group": "nearly"}, "group: expected one of"),
    "group of numbers": (
        "auth_pct",
        {"group": [0, 1]},
        'group: expected "exact" or "near" of items that come',
    ),
    "cells": ("c_t", {"cells": 0}, "cells: expected a whole number"),
    "batch_size": ("f_mem", {"batch_size": 0}, "batch_size: expected a whole number"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_wrong_options_are_refused_at_once(case):
    name, options, message = OPTIONS[case]
    with pytest.raises(InputError, match=message):
        made(name, **options)


def test_many_neighbours_may_be_asked_for():
    assert made("precision", k=100).options == {"k": 100}


def test_an_unknown_option_is_refused():
    with pytest.raises(ValueError, match="Unexpected keyword arguments: `thresold`"):
        made("f_mem", thresold=0.5)


def test_what_was_gathered_from_processes_is_one_set():
    """torchmetrics gives `dist_sync_fn` each state as one tensor, and concatenates what comes back."""
    half = {kind: items[: len(items) // 2] for kind, items in SETS.items()}
    rest = {len(half[kind]): items[len(items) // 2 :] for kind, items in SETS.items()}
    metric = made(
        "f_mem",
        dist_sync_fn=lambda state, group: [state, rest[len(state)]],
        distributed_available_fn=lambda: True,
    )
    fed(metric, half, size=13)
    assert metric.measurement().value == expected_of("f_mem").value
    assert len(metric.train_items) == 5  # its batches of 13, as before the gathering


def test_torchmetrics_is_not_needed_for_the_functions_and_the_classes_say_how_to_install_it():
    code = (
        "import sys\n"
        "import memhorizon as mh\n"
        "mh.metrics.f_mem([[0.0], [1.0]], [[0.0], [2.0]])\n"
        "assert 'torchmetrics' not in sys.modules\n"
        "sys.modules['torchmetrics'] = None\n"
        "try:\n"
        "    mh.metrics.FMem\n"
        "except mh.MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == 'FMem needs torchmetrics: pip install "memhorizon[metrics]"\n'
