"""The view of features: copies that only the features see, with exact p-values."""

import numpy as np
import pytest
import torch

import memhorizon as mh
from memhorizon.auditing.config import AuditConfig
from memhorizon.auditing.run import audited
from memhorizon.auditing.views.features import LookUp, features
from memhorizon.auditing.views.vectors import VectorView
from memhorizon.errors import InputError
from memhorizon.files.images import ImageSet
from scripted import Sums, save_scripted


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def as_set(images):
    return ImageSet(images, tuple(map(str, range(len(images)))))


def quiet(*_):
    pass


def test_vectors_are_looked_up_whatever_is_asked_about():
    items = {"samples": normal(6, 1, 2, 2), "train": normal(9, 1, 2, 2, seed=1)}
    items["samples"][2] = items["train"][4]  # an exact copy has the vector of its original
    vectors = {name: one.flatten(1) * 3 for name, one in items.items()}
    vectors["samples"][2] += 1
    look_up = LookUp(items, vectors)
    assert torch.equal(look_up(items["train"].flip(0)), vectors["train"].flip(0))
    assert torch.equal(look_up(items["samples"][[5, 2, 5]]), 3 * items["samples"][[5, 2, 5]].flatten(1))
    assert look_up(items["train"][:0]).shape == (0, 4)
    with pytest.raises(InputError, match="expected items of the audit, got 2 others"):
        look_up(normal(2, 1, 2, 2, seed=9))


@pytest.mark.parametrize("given_as", ["function", "vectors"])
def test_the_view_is_that_of_the_vectors(given_as):
    """As the view of the vectors of all items, whether they are computed or given."""
    sets = {"samples": normal(20, 1, 4, 4), "train": normal(60, 1, 4, 4, seed=1)}
    given = {name: as_set(one) for name, one in sets.items()}

    def function(x):
        return x[:, 0, :, :2].flatten(1) ** 3

    source = function if given_as == "function" else {name: function(one) for name, one in sets.items()}
    group = torch.arange(60)
    view = features(source, given, sets, group, limits=(0.0, 1.0), cache=None, report=quiet)
    rows = function(sets["train"])
    plain = VectorView("plain", "", "", function, rows, group)
    for queries, left_out in ((sets["samples"], None), (sets["train"][10:30], group[10:30])):
        found = view.find(queries, left_out, quiet)
        expected = plain.find(queries, left_out, quiet)
        assert (found.nearest == expected.nearest).all()
        assert (found.statistic == expected.statistic).all()


def test_an_audit_finds_copies_that_only_the_features_see():
    """Each item is 6 numbers that make it and 40 that are drawn anew for its copies; features see the six."""
    n, m, copies = 400, 60, 20
    train = torch.cat([normal(n, 6), 3 * normal(n, 40, seed=1)], 1)
    samples = torch.cat([normal(m, 6, seed=2), 3 * normal(m, 40, seed=3)], 1)
    samples[:copies, :6] = train[100 : 100 + copies, :6] + 0.01 * normal(copies, 6, seed=4)
    sources = {"samples": "array", "train": "array"}

    def reported(views, features=None):
        config = AuditConfig(views=views)
        found = audited(as_set(samples), as_set(train), None, config, sources=sources, features=features)
        return [one.is_copy for one in found.record.samples], [one.nearest for one in found.record.samples]

    is_copy, nearest = reported(("features",), lambda x: x[:, :6])
    # an honest sample is reported with probability 5 % at most among these; copies are at 0.01 of all else
    assert is_copy[:copies] == [True] * copies
    assert sum(is_copy[copies:]) <= 3
    assert nearest[:copies] == list(range(100, 100 + copies))
    assert sum(reported(("pixels",))[0]) <= 3
    with pytest.raises(InputError, match="features: expected a function, a name, a file or vectors"):
        reported(("features",))


def test_each_function_has_its_answer_whatever_the_cache_keeps(tmp_path):
    from memhorizon.experiments.cache import Cache

    train = as_set(normal(200, 12))
    samples = as_set(normal(10, 12, seed=1))
    sources = {"samples": "array", "train": "array"}

    def statistics(function, cache):
        config = AuditConfig(views=("features",))
        found = audited(samples, train, None, config, sources=sources, features=function, cache=cache)
        return [one.statistic for one in found.record.samples]

    def first(x):
        return x[:, :6]

    def last(x):
        return x[:, 6:]

    cache = Cache(tmp_path)
    assert statistics(first, cache) == statistics(first, None)
    assert statistics(last, cache) == statistics(last, None)


def test_the_door_takes_networks_and_vectors_alike(tmp_path):
    pictures = torch.rand(630, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    samples = pictures[:30].clone()
    samples[:10] = pictures[30:40].flip(-1)  # the sums of the rows are those of the originals
    train = pictures[30:]
    path = save_scripted(Sums(), tmp_path / "sums.pt")
    vectors = {name: x.sum(3).flatten(1) * 2 for name, x in (("samples", samples), ("train", train))}
    np.save(tmp_path / "train.npy", vectors["train"].numpy())
    sources = (lambda x: 2 * x.sum(3).flatten(1), str(path), {**vectors, "train": tmp_path / "train.npy"})
    found = [mh.audit(samples, train, views=("features",), features=source) for source in sources]
    for report in found:
        assert [one.is_copy for one in report.answer.samples[:10]] == [True] * 10
        assert [one.nearest for one in report.answer.samples[:10]] == list(range(10))
    p = [[one.p for one in report.answer.samples] for report in found]
    assert p[0] == p[2]
    assert p[0] == p[1]  # ranks: the sums of the network are rounded alike


def test_what_cannot_be_features_is_told_before_anything_is_read(tmp_path):
    for wrong in (5, "none", tmp_path / "none.pt", "vectors.npy"):
        with pytest.raises(InputError, match="^features: "):
            mh.audit(tmp_path / "nowhere", tmp_path / "nowhere", features=wrong)
