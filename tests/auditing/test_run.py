"""Whole audits of handwritten digits: what was planted is found, and nothing else."""

import numpy as np
import pytest
import torch

from memhorizon.auditing.alignment import blurred
from memhorizon.auditing.config import AuditConfig
from memhorizon.auditing.planted import EDITS
from memhorizon.auditing.run import audited
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache
from memhorizon.files.images import ImageSet
from memhorizon.files.layouts import read_digits
from memhorizon.records.files import to_text
from memhorizon.report.audit.summary import summary

N = 240  # training items, half of which are the reference
TWICE = 8  # of them are there a second time
HONEST = 20
EDITED = {"exact": 8, "flip": 6, "brightness 0.8": 6}
CHEAP = ("pixels", "coarse")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def image_set(images):
    return ImageSet(images, tuple(str(i) for i in range(len(images))))


def digits(start, stop):
    return read_digits()[0][start:stop]


def training_set():
    """Digits, of which the last are the first again: the copies of exactly these are planted, too."""
    train = digits(0, N)
    train[-TWICE:] = train[:TWICE]
    return train


def planted(train):
    """Honest digits, then copies of the first items of the training set, edited."""
    copies = []
    start = 0
    for edit, count in EDITED.items():
        copies.append(EDITS[edit](train[start : start + count], seeded()))
        start += count
    return torch.cat([digits(N, N + HONEST), *copies])


def audit(samples, train, holdout=None, **options):
    """An audit of tensors; options of the configuration among those of the function."""
    names = ("views", "fdr", "seed", "n_reference", "minutes")
    config = AuditConfig(**{name: options.pop(name) for name in names if name in options})
    sets = [None if images is None else image_set(images) for images in (samples, train, holdout)]
    return audited(*sets, config, sources=dict.fromkeys(("samples", "train", "holdout"), "array"), **options)


class Interruption:
    """Progress that is interrupted as ctrl-C does, once, when something is reported."""

    def __init__(self, what):
        self.what = what
        self.seen = []

    def __call__(self, what, done, total):
        assert 0 <= done <= total
        self.seen.append(what)
        if what == self.what:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("audits") / "cache")


@pytest.fixture(scope="module")
def answer(cache):
    """The audit by all views: interrupted once its descriptor was learned, then done."""
    train = training_set()
    stop = Interruption("aligned: samples")
    with pytest.raises(KeyboardInterrupt):
        audit(planted(train), train, cache=cache, progress=stop)
    assert "aligned: learning" in stop.seen
    return audit(planted(train), train, cache=cache)


def copies_in(record):
    return [one.index for one in record.samples if one.is_copy]


def test_planted_copies_are_found_with_their_originals(answer):
    found = copies_in(answer.record)
    n_copies = sum(EDITED.values())
    assert len([index for index in found if index >= HONEST]) >= n_copies - 1
    # 20 of 40 are reported up to p = 0.025, just above 2/117 (a copy of a reference item and this item are
    # a tie): of 20 honest digits more than 3 reach it with probability 0.002
    assert len([index for index in found if index < HONEST]) <= 3
    train = training_set()
    for one in answer.record.samples[HONEST:]:
        if one.is_copy:
            original = train[one.index - HONEST]
            assert torch.equal(train[one.nearest], original)  # itself or its duplicate
            assert one.nearest_name == str(one.nearest)


def test_copies_of_what_is_there_twice_are_found(answer):
    """The first copies are exact ones of items that occur twice: d1 = d2 = 0, and the ratio would be lost."""
    assert set(range(HONEST, HONEST + TWICE)) <= set(copies_in(answer.record))
    groups = [group.items for group in answer.record.duplicates]
    assert groups == [(i, N - TWICE + i) for i in range(TWICE)]
    assert {item.index for item in answer.record.most_copied} >= set(range(TWICE))


def test_edits_are_named_and_shown(answer):
    by_index = {one.index: one.edit for one in answer.record.samples if one.is_copy}
    assert all(by_index[index] == "none" for index in range(HONEST, HONEST + EDITED["exact"]))
    flipped = range(HONEST + 8, HONEST + 14)
    assert sum(by_index.get(index) == "flipped" for index in flipped) >= 5
    darker = range(HONEST + 14, HONEST + 20)
    assert sum("20 % less contrast or brightness" in by_index.get(index, "") for index in darker) >= 5
    assert answer.registered.keys() == by_index.keys()
    samples = planted(training_set())
    for index, registered in answer.registered.items():
        assert registered.shape == (1, 8, 8)
        assert index < HONEST or (registered - samples[index]).abs().mean() < 0.05


def test_the_record_adds_up(answer):
    record = answer.record
    assert record.n_reference == (N - TWICE) // 2
    assert record.resolution == 1 / (record.n_reference + 1)
    assert record.copies.count == len(copies_in(record))
    assert sum(view.copies for view in record.views) == len(copies_in(record))
    assert [view.name for view in record.views] == ["aligned", "coarse"]  # those for pictures
    for view in record.views:
        assert view.samples.sum() == len(record.samples)
        assert view.reference.sum() == record.n_reference
    assert sum(item.copies for item in record.most_copied) == len(copies_in(record))
    assert record.null is None
    assert record.leaning is None
    assert record.set_named("train").count == N
    assert np.isfinite([one.statistic for one in record.samples]).all()


def test_without_a_cache_and_with_one_an_audit_says_the_same(answer, cache):
    train = training_set()
    samples = planted(train)
    seen = []
    again = audit(samples, train, cache=cache, progress=lambda what, done, total: seen.append(what))
    assert "aligned: learning" not in seen
    assert to_text(again.record) == to_text(answer.record)
    # a descriptor that had no time to learn anything: the rest is the same, and quick
    options = {"minutes": 1e-12}
    fresh = audit(samples, train, **options)
    with_cache = audit(samples, train, cache=cache, **options)
    assert to_text(fresh.record) == to_text(with_cache.record)
    assert "the time was up after 0 of 500 updates" in fresh.record.views[0].note
    assert fresh.registered.keys() == with_cache.registered.keys()
    for index, registered in fresh.registered.items():
        assert torch.equal(registered, with_cache.registered[index])


STEPS = (
    "duplicates",
    "coarse: reference items",
    "pixels: reference items",
    "coarse: samples",
    "pixels: samples",
    "pixels: exact p-values",
    "coarse: held-out items",
    "edits",
)


def test_an_audit_interrupted_anywhere_goes_on(tmp_path):
    train = training_set()
    samples = planted(train)
    holdout = digits(500, 620)
    options = {"views": CHEAP, "fdr": 0.2}
    whole = audit(samples, train, holdout, **options)
    cache = Cache(tmp_path / "cache")
    for step in STEPS:
        with pytest.raises(KeyboardInterrupt):
            audit(samples, train, holdout, cache=cache, progress=Interruption(step), **options)
    resumed = audit(samples, train, holdout, cache=cache, **options)
    assert to_text(resumed.record) == to_text(whole.record)


def test_the_seed_draws_other_reference_items():
    train = training_set()
    samples = planted(train)
    one, again, other = (audit(samples, train, views=CHEAP, seed=seed).record for seed in (0, 0, 1))
    assert to_text(one) == to_text(again)
    assert [x.p for x in one.samples] != [x.p for x in other.samples]


def test_samples_and_training_set_do_not_change_places():
    """Every sample is a copy, few training items are: the share tells which is which."""
    train = training_set()
    samples = train[30:90].clone()
    record = audit(samples, train, views=CHEAP).record
    swapped = audit(train, samples, views=CHEAP).record
    assert record.copies.value == 1
    assert swapped.copies.total == N
    assert swapped.copies.value < 0.5
    assert record.n_reference != swapped.n_reference


@pytest.mark.parametrize("kind", ["blurry", "grainy", "as they are", "dark"])
def test_honest_generators_are_not_flagged(kind, cache):
    """Digits of other writers, whatever they look like, against the items that the answer is about."""
    honest = digits(600, 700)
    samples = {
        "blurry": blurred(honest),
        "grainy": (honest + 0.1 * torch.randn(honest.shape, generator=seeded())).clamp(0, 1),
        "as they are": honest,
        "dark": 0.6 * honest,
    }[kind]
    record = audit(samples, training_set(), cache=cache).record
    assert copies_in(record) == []
    # nor nearly: a share within 5 standard errors of a tenth has p up to a tenth, or less
    p = np.array([one.p for one in record.samples])
    assert (p <= 0.1).mean() <= 0.1 + 5 * (0.1 * 0.9 / len(p)) ** 0.5


def test_held_out_items_are_the_reference_where_there_are_enough():
    train = training_set()
    holdout = digits(500, 760)
    holdout[7] = train[3]
    # 260, of which one is shared and 100 are for the null: more than half of the training items
    record = audit(planted(train), train, holdout, views=CHEAP, n_reference=150).record
    assert (record.reference, record.n_reference) == ("holdout", 150)
    assert [(row.index, row.train, row.distance) for row in record.shared] == [(7, 3, 0.0)]
    assert record.null.total == 100
    assert record.null.value <= 0.05 + 3 * (0.05 / record.null.total) ** 0.5
    exact = range(HONEST, HONEST + EDITED["exact"])
    assert set(exact) <= set(copies_in(record))
    few = audit(planted(train), train, holdout[:100], views=CHEAP, n_reference=150).record
    assert (few.reference, few.n_reference) == ("train", (N - TWICE) // 2)
    assert few.null is None  # 99 that are not in the training set are too few
    assert few.leaning.n_items == 99
    words = "100 held-out images, 1 of them in the training set, are too few for a null"
    assert f"{words}: 100 that are not there are needed" in summary(few)


def test_leaning_is_an_answer_of_its_own():
    """Copies lean by construction; honest digits do not, far."""
    train = training_set()
    holdout = digits(500, 730)
    leaning = audit(train[:60].clone(), train, holdout, views=("pixels",)).record.leaning
    honest = audit(digits(800, 920), train, holdout, views=("pixels",)).record.leaning
    assert leaning.share > 0.9
    assert leaning.p < 0.001
    assert honest.p > 0.001


@pytest.mark.parametrize(
    ("views", "seen"),
    [
        (None, ["coarse", "pixels"]),
        (("pixels", "coarse", "aligned"), ["coarse", "pixels"]),
        (("pixels", "features"), ["pixels", "features"]),
    ],
)
def test_vectors_are_audited_like_pictures(views, seen):
    """No picture to register: the view that does is left out, and no edit is named."""
    train = training_set().flatten(1)
    samples = planted(training_set()).flatten(1)
    features = (lambda x: x[:, ::2]) if "features" in seen else None
    record = audit(samples, train, views=views, features=features, fdr=0.2).record
    assert [view.name for view in record.views] == seen
    exact = set(range(HONEST, HONEST + EDITED["exact"]))
    assert exact <= set(copies_in(record))
    assert all(one.edit == "" for one in record.samples)


def test_features_of_another_function_are_not_those_of_the_cache(tmp_path):
    cache = Cache(tmp_path / "cache")
    train = training_set()
    samples = planted(train)

    def statistics(features):
        found = audit(samples, train, views=("features",), features=features, cache=cache)
        return [one.statistic for one in found.record.samples]

    half = statistics(lambda x: x.flatten(1)[:, ::2])
    other = statistics(lambda x: x.flatten(1)[:, 1::2])
    assert half != other
    assert half == statistics(lambda x: x.flatten(1)[:, ::2])


def test_what_cannot_be_audited_is_refused():
    train = training_set()
    with pytest.raises(InputError, match="train: expected at least 10 different items, got 9 among 9"):
        audit(train[:5], train[:9])
    with pytest.raises(InputError, match=r"views: expected .* got items of shape \(64,\)"):
        audit(train[:5].flatten(1), train.flatten(1), views=("aligned",))
    with pytest.raises(InputError, match="features: expected a function"):
        audit(train[:5], train, views=("features",))
    with pytest.raises(InputError, match="one shape"):
        audit(train[:5, :, :7], train)


@pytest.mark.parametrize("shape", [(1, 7, 9), (3, 9, 28), (2, 40, 1), (1, 1), (3,), (1, 8, 70)])
def test_items_of_any_shape_are_audited(shape, monkeypatch):
    monkeypatch.setattr("memhorizon.auditing.descriptor.UPDATES", 2)
    train = torch.rand(24, *shape, generator=seeded(1))
    samples = torch.cat([torch.rand(3, *shape, generator=seeded(2)), train[:4]])
    record = audit(samples, train).record
    assert np.isfinite([one.statistic for one in record.samples]).all()
    assert [one.nearest for one in record.samples[3:]] == [0, 1, 2, 3]


def test_constant_pictures_are_audited(monkeypatch):
    """Of one level each, or half of them all black."""
    monkeypatch.setattr("memhorizon.auditing.descriptor.UPDATES", 2)
    levels = torch.linspace(0, 1, 30)[:, None, None, None].expand(-1, 3, 9, 8)
    mixed = torch.rand(80, 3, 9, 8, generator=seeded())
    mixed[:40] = 0
    for train in (levels, mixed):
        record = audit(train[::3], train).record
        assert np.isfinite([one.statistic for one in record.samples]).all()
    assert max(len(group.items) for group in record.duplicates) == 40
