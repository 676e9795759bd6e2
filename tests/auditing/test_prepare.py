"""Sets as they are compared."""

import pytest
import torch

from memhorizon.auditing.config import AuditConfig
from memhorizon.auditing.nearby import Nearby
from memhorizon.auditing.prepare import n_for_null, not_fresh, prepare
from memhorizon.auditing.views.reduced import MOST_BYTES, SIDES, in_unit, is_registered, reduced, side_for
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache
from memhorizon.files.images import ImageSet


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def items(*shape, seed=0):
    return torch.rand(*shape, generator=seeded(seed))


def image_set(images):
    return ImageSet(images, tuple(str(i) for i in range(len(images))))


def told(what, done, total):
    """Tell nobody."""


def prepared(samples, train, holdout=None, *, same_units=False, cache=None, progress=told, **options):
    given = {"samples": samples, "train": train} | ({} if holdout is None else {"holdout": holdout})
    sets = {name: image_set(images) for name, images in given.items()}
    return prepare(sets, AuditConfig(**options), same_units=same_units, cache=cache, progress=progress)


def test_small_sets_stay_as_they_are():
    samples, train = items(5, 1, 9, 28), items(40, 1, 9, 28, seed=1)
    found = prepared(samples, train)
    assert torch.equal(found.samples, samples)
    assert torch.equal(found.train, train)
    assert found.holdout is None
    assert found.note == ""
    assert len(found.shared) == len(found.fresh) == 0
    assert found.limits == (float(train.min()), float(train.max()))
    assert len(found.design.reference) == 20


def test_shared_held_out_items_are_listed_and_the_others_fresh():
    train = items(60, 6)
    holdout = items(20, 6, seed=1)
    holdout[[3, 8]] = train[[50, 7]]
    found = prepared(items(4, 6, seed=2), train, holdout)
    assert found.shared.tolist() == [3, 8]
    assert found.shared_with.index[:, 0].tolist() == [50, 7]
    assert found.shared_with.distance[:, 0].tolist() == [0, 0]
    assert sorted(found.fresh.tolist()) == sorted(set(range(20)) - {3, 8})
    again = prepared(items(4, 6, seed=2), train, holdout, seed=1)
    assert again.fresh.tolist() != found.fresh.tolist()


@pytest.mark.parametrize(
    ("count", "equal_up_to", "expected"),
    [(1000, None, [3, 5, 9]), (1000, 0.1, [3]), (2, 0.1, [3, 5, 9]), (512, 0.1, [3]), (511, 0.1, [3, 5, 9])],
)
def test_near_duplicates_that_are_rare_stay_fresh(count, equal_up_to, expected):
    """Of three shared items one is equal: two of 512 are one in 256, which is rare."""
    distance = torch.tensor([[0.1], [0.11], [0.5]], dtype=torch.float64)
    with_them = Nearby(distance, torch.zeros(3, 1, dtype=torch.int64))
    assert not_fresh(torch.tensor([3, 5, 9]), with_them, count, equal_up_to).tolist() == expected


def test_a_quarter_of_the_held_out_items_is_for_the_null():
    counts = [n_for_null(n) for n in (0, 50, 100, 399, 400, 1000, 8000, 100_000)]
    assert counts == [0, 50, 100, 100, 100, 250, 2000, 2000]


def test_held_out_items_all_of_which_were_trained_on_are_refused():
    train = items(60, 6)
    words = "holdout: expected items that were not trained on, all 5 are in the training set"
    with pytest.raises(InputError, match=words):
        prepared(items(4, 6, seed=2), train, train[:5])


def test_sets_of_different_units_are_refused_unless_vouched_for():
    train = 255 * items(60, 1, 8, 8)
    samples = items(30, 1, 8, 8, seed=1)
    with pytest.raises(InputError, match="samples"):
        prepared(samples, train)
    assert torch.equal(prepared(samples, train, same_units=True).samples, samples)


@pytest.mark.parametrize("shape", [(3, 70, 130), (1, 200, 65), (1, 300, 1)])
def test_large_pictures_are_made_smaller_all_alike(shape):
    train = items(24, *shape)
    found = prepared(train[:3], train, items(4, *shape, seed=1))
    assert torch.equal(found.samples, found.train[:3])
    assert found.holdout is not None
    height, width = found.train.shape[2:]
    assert max(height, width) == SIDES[0]
    assert found.note == f"pictures made smaller, to {width} x {height} pixels"
    scale = SIDES[0] / max(shape[1:])
    assert (height, width) == tuple(max(1, round(side * scale)) for side in shape[1:])
    # means are kept but for the weights at the borders: those of a few of a thousand pixels, or of 300
    change = (found.train.mean((2, 3)) - train.mean((2, 3))).abs().max()
    assert float(change) < (0.01 if shape[2] > 1 else 0.03)


def test_a_picture_made_smaller_is_its_block_means_in_the_middle():
    """By a factor of 2 the antialiased linear filter has the weights 1 3 3 1 over 8."""
    image = items(1, 1, 128, 128)
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    for row, column in ((10, 20), (31, 32)):
        block = image[0, 0, 2 * row - 1 : 2 * row + 3, 2 * column - 1 : 2 * column + 3]
        expected = float(weights @ block @ weights)
        assert float(reduced(image, 64)[0, 0, row, column]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 256, 256), (1, 28, 28), (3, 40, 300)])
@pytest.mark.parametrize("count", [1_000, 20_000, 60_000, 200_000])
def test_what_is_compared_fits_the_memory(shape, count):
    side = side_for(shape, count)
    assert side in SIDES
    channels, height, width = shape
    scale = min(1.0, side / max(height, width))
    numbers = count * channels * height * width * scale**2
    assert 4 * numbers <= MOST_BYTES or side == SIDES[-1]
    larger = [other for other in SIDES if other > side]
    for other in larger:
        scale = min(1.0, other / max(height, width))
        assert 4 * count * channels * height * width * scale**2 > MOST_BYTES


def test_vectors_have_no_side():
    assert side_for((784,), 10) is None
    assert side_for((2, 3, 4, 5), 10) is None


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 8, 8), True),
        ((1, 7, 9), False),
        ((3, 9, 28), True),
        ((3, 256, 32), False),  # 4 pixels wide once it is 32 high
        ((3, 32, 64), True),
        ((1, 1, 40), False),
        ((64,), False),
    ],
)
def test_pictures_are_registered_if_they_are_large_enough_when_they_are_compared(shape, expected):
    assert is_registered(shape) == expected


def test_pictures_in_one_unit():
    images = items(3, 1, 4, 4)
    assert in_unit(images, (0.0, 1.0)) is images
    torch.testing.assert_close(in_unit(255 * images - 5, (-5.0, 250.0)), images)


def test_groups_come_from_the_cache(tmp_path):
    train = items(60, 6)
    train[50:] = train[:10]
    cache = Cache(tmp_path / "cache")
    seen = []
    first = prepared(train[:3], train, cache=cache, progress=lambda *what: seen.append(what))
    again = prepared(train[:3], train, cache=cache)
    assert torch.equal(first.design.group, again.design.group)
    assert first.design.duplicates.distance == again.design.duplicates.distance > 0
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert seen == [("duplicates", 0, 1), ("duplicates", 1, 1)]
    assert first.design.group[50:].tolist() == list(range(10))


@pytest.mark.parametrize(
    ("n_train", "views", "given", "expected"),
    [
        (10_000, None, None, 4000),
        (20_000, None, None, 5000),
        (60_000, None, None, 15_000),
        (90_000, ("aligned", "pixels"), None, 10_000),
        (10**6, None, None, 4000),
        (10**6, ("pixels",), None, 4000),
        (60_000, None, 300, 300),
    ],
)
def test_large_training_sets_have_more_reference_items(n_train, views, given, expected):
    assert AuditConfig(views=views, n_reference=given).reference_items(n_train) == expected
