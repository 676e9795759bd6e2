"""Every metric of the table: which set is which, order, units, chunks, features, and its evidence."""

import math

import numpy as np
import pytest
import torch

import memhorizon as mh
from memhorizon.measure.features import pca_features
from memhorizon.metrics import METRICS
from memhorizon.results import Estimate, Fraction

NAMES = list(METRICS)
ASYMMETRIC = [name for name in NAMES if METRICS[name].is_asymmetric]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TRAIN = normal(120, 1, 3, 2)
HOLDOUT = normal(90, 1, 3, 2, seed=1)
COPIES = [TRAIN[:4], TRAIN[5] + 0.01 * normal(6, 1, 3, 2, seed=4)]  # exact ones, and six of one item
SAMPLES = torch.cat([0.8 * normal(70, 1, 3, 2, seed=2), *COPIES])


def value(name, samples, train, **options):
    return METRICS[name].function(samples, train, holdout=HOLDOUT, **options).value.value


def test_the_table_has_both_forms_of_every_metric():
    for name, info in METRICS.items():
        assert getattr(mh.metrics, name) is info.function
        assert info.accumulator in dir(mh.metrics)
    assert set(NAMES) - set(ASYMMETRIC) == {"frechet", "kernel"}
    assert {name for name in NAMES if METRICS[name].needs_holdout} == {
        "c_t",
        "fls_overfit",
        "generalization_gap",
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(mh.metrics, "nothing")  # noqa: B009


@pytest.mark.parametrize("name", ASYMMETRIC)
def test_samples_and_training_items_cannot_be_exchanged_unseen(name):
    """Of as many samples as training items, so that no size gives them away; MiFID with its penalty on."""
    samples = torch.cat([SAMPLES, normal(40, 1, 3, 2, seed=3)])
    assert len(samples) == len(TRAIN)
    options = {"penalty_below": 1.0} if name == "mifid" else {}
    right, wrong = value(name, samples, TRAIN, **options), value(name, TRAIN, samples, **options)
    assert right != pytest.approx(wrong, rel=1e-6)


@pytest.mark.parametrize("name", ["frechet", "kernel"])
def test_symmetric_ones_are_symmetric(name):
    assert value(name, SAMPLES, TRAIN) == pytest.approx(value(name, TRAIN, SAMPLES), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_items_does_not_matter(name):
    """But to the seeded cells of C_T, and to the halves of FLS' null."""
    flipped = METRICS[name].function(SAMPLES.flip(0), TRAIN, holdout=HOLDOUT)
    plain = METRICS[name].function(SAMPLES, TRAIN, holdout=HOLDOUT)
    assert flipped.value.value == pytest.approx(plain.value.value, rel=1e-9)
    if plain.per_sample is not None:
        np.testing.assert_allclose(flipped.per_sample.flip(0), plain.per_sample, rtol=1e-6, atol=1e-9)
    if name != "c_t":
        assert value(name, SAMPLES, TRAIN.flip(0)) == pytest.approx(plain.value.value, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_items_may_be_given_as_arrays_images_and_paths(name, tmp_path):
    expected = value(name, SAMPLES, TRAIN)
    np.save(tmp_path / "train.npy", TRAIN.numpy())
    np.save(tmp_path / "holdout.npy", HOLDOUT.numpy())
    samples = mh.load_images(SAMPLES)
    found = METRICS[name].function(
        samples, tmp_path / "train.npy", holdout=str(tmp_path / "holdout.npy"), batch_size=7
    )
    assert found.value.value == expected
    assert found.sizes == {"samples": 80, "train": 120, "holdout": 90}


@pytest.mark.parametrize("name", NAMES)
def test_integer_pixels_beside_floats_are_brought_to_one_unit(name):
    """Whichever of the three sets are bytes."""
    pixels = [(x * 60 + 128).clamp(0, 255).round().to(torch.uint8) for x in (SAMPLES, TRAIN, HOLDOUT)]
    for pixel in pixels:
        pixel[0, 0, 0, 0] = 255
    floats = [pixel.float() / 255 for pixel in pixels]
    function = METRICS[name].function
    expected = function(floats[0], floats[1], holdout=floats[2]).value.value
    for choice in range(1, 7):
        sets = [(pixels, floats)[choice >> i & 1][i] for i in range(3)]
        assert function(sets[0], sets[1], holdout=sets[2]).value.value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_features_are_what_is_compared(name):
    def half(items):
        return 2 * items.flatten(1)[:, :3]

    sets = [2 * x.flatten(1)[:, :3].double() for x in (SAMPLES, TRAIN, HOLDOUT)]
    expected = METRICS[name].function(sets[0], sets[1], holdout=sets[2]).value.value
    assert value(name, SAMPLES, TRAIN, features=half, batch_size=11) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_its_evidence(name):
    found = METRICS[name].function(SAMPLES, TRAIN, holdout=HOLDOUT)
    assert found.name == name
    assert float(found) == found.value.value
    assert found.null is not None
    assert type(found.null) is type(found.value)
    assert found.null_rule in str(found)
    if found.per_sample is not None:
        assert found.per_sample.shape == (80,)
    numbers = found.numbers()
    assert numbers[name] == float(found)
    assert numbers[f"{name}_null"] == found.null.value
    assert (
        numbers[f"{name}_low"] <= numbers.get(f"{name}_corrected", numbers[name]) <= numbers[f"{name}_high"]
    )
    if isinstance(found.value, Fraction):
        assert found.value.total == (120 if name in ("recall", "coverage") else 80)
    if isinstance(found.value, Estimate):
        assert math.isfinite(found.value.high - found.value.low)


@pytest.mark.parametrize("name", [name for name in NAMES if not METRICS[name].needs_holdout])
def test_held_out_items_give_the_null_and_change_nothing_else(name):
    alone = METRICS[name].function(SAMPLES, TRAIN)
    beside = METRICS[name].function(SAMPLES, TRAIN, holdout=HOLDOUT)
    assert alone.value == beside.value
    assert alone.sizes == {"samples": 80, "train": 120}
    fresh = HOLDOUT
    if name in (
        "recall",
        "coverage",
        "frechet",
        "kernel",
        "mifid",
    ):  # they depend on how many items there are
        fresh = HOLDOUT[np.linspace(0, 89, 80).round().astype(int)]
    assert beside.null == METRICS[name].function(fresh, TRAIN).value


@pytest.mark.parametrize("name", ["recall", "coverage", "frechet", "mifid"])
def test_fewer_held_out_items_than_samples_give_no_null_where_the_number_depends_on_them(name):
    found = METRICS[name].function(SAMPLES, TRAIN, holdout=HOLDOUT[:60])
    assert found.null is None
    assert "60 held-out items are fewer than 80 samples" in str(found)


@pytest.mark.parametrize("name", ["recall", "coverage", "frechet"])
def test_the_null_of_honest_samples_is_about_their_value_however_many_are_held_out(name):
    """100 honest samples beside 2,000 held-out items; coverage of 2,000 would be 0.99 in place of 0.4."""
    train, holdout, samples = normal(1000, 8), normal(2000, 8, seed=1), normal(100, 8, seed=2)
    found = METRICS[name].function(samples, train, holdout=holdout)
    assert found.value.value == pytest.approx(found.null.value, rel=0.2)


BAD = {
    "shapes": ({"samples": SAMPLES[:, :, :2]}, "items of one shape"),
    "held-out shapes": ({"holdout": HOLDOUT[:, :, :2]}, "holdout, train: expected items of one shape"),
    "NaN": ({"train": TRAIN * math.nan}, "train: expected finite values"),
    "infinite held-out item": ({"holdout": HOLDOUT / 0}, "holdout: expected finite values"),
    "no sample": ({"samples": SAMPLES[:0]}, r"samples: expected items \[n, \*item\]"),
    "units": ({"train": (TRAIN.sigmoid() * 255).round()}, "expected values of one unit"),
    "features": ({"features": lambda x: x.sum()}, "features: expected"),
    "batch": ({"batch_size": 0}, "batch_size: expected a whole number of at least 1"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(name, case):
    wrong, message = BAD[case]
    sets = {"samples": SAMPLES.sigmoid(), "train": TRAIN.sigmoid(), "holdout": HOLDOUT.sigmoid(), **wrong}
    with pytest.raises(mh.InputError, match=message):
        METRICS[name].function(**sets)


def test_features_of_a_projection_have_its_unit():
    project = pca_features(TRAIN.sigmoid(), 3)
    sets = [(x.sigmoid() * 255).round() for x in (SAMPLES, TRAIN)]
    for name in ("f_mem", "frechet"):
        with pytest.raises(mh.InputError, match="the data of pca_features"):
            METRICS[name].function(*sets, features=project)
