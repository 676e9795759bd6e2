"""The vectors of the items of an audit: computed once each, kept, or given and checked."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from memhorizon.auditing.feature_vectors import PART, embedded, feature_vectors
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache
from memhorizon.files.folders import Skipped
from memhorizon.files.images import ImageSet
from scripted import Sums, save_scripted


def items(n, *shape, seed=0):
    images = torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
    return ImageSet(images, tuple(map(str, range(n))))


def sets(m=5, n=7, h=6):
    return {
        "samples": items(m, 1, 4, 5),
        "train": items(n, 1, 4, 5, seed=1),
        "holdout": items(h, 1, 4, 5, seed=2),
    }


def quiet(done, total):
    pass


def test_every_item_goes_through_the_function_once_and_progress_is_told():
    seen = []
    told = []

    def rows(x):
        seen.append(x)
        return x.sum(3).flatten(1)

    given = sets(m=PART + 3)
    found = feature_vectors(rows, given, report=lambda done, total: told.append((done, total)))
    for name, one in given.items():
        torch.testing.assert_close(found.vectors[name], one.images.sum(3).flatten(1))
    assert torch.equal(torch.cat(seen), torch.cat([one.images for one in given.values()]))
    total = PART + 3 + 7 + 6
    assert told == [(PART, total), (PART + 3, total), (PART + 10, total), (total, total)]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_change_nothing(batch_size):
    x = items(20, 1, 4, 5).images.double()
    found = embedded(x, lambda x: x.sum(3).flatten(1), "x", batch_size=batch_size)
    assert found.dtype == torch.float32
    assert torch.equal(found, x.sum(3).flatten(1).float())


def test_vectors_of_a_file_are_kept_and_those_of_a_function_are_not(tmp_path):
    cache = Cache(tmp_path / "cache")
    path = save_scripted(Sums(), tmp_path / "net.pt")
    first = feature_vectors(path, sets(), cache=cache, report=quiet)
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == 3
    again = feature_vectors(str(path), sets(), cache=cache, report=quiet)
    assert sorted((tmp_path / "cache").iterdir()) == files
    assert all(torch.equal(first.vectors[name], rows) for name, rows in again.vectors.items())
    other = save_scripted(Sums(torch.float64), tmp_path / "other.pt")  # another file: nothing of the first
    feature_vectors(other, sets(), cache=cache, report=quiet)
    assert len(list((tmp_path / "cache").iterdir())) == 6
    feature_vectors(lambda x: x.flatten(1), sets(), cache=cache, report=quiet)
    assert len(list((tmp_path / "cache").iterdir())) == 6
    assert first.note == "the network of net.pt"


def write(path, rows):
    if path.suffix == ".npy":
        np.save(path, rows)
    elif path.suffix == ".npz":
        np.savez(path, rows)
    else:
        save_file({"x": torch.from_numpy(rows)}, path)
    return str(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_vectors_of_files_are_those_of_the_items_in_order(tmp_path, suffix):
    given = sets()
    rows = {name: one.images.flatten(1).double().numpy() for name, one in given.items()}
    source = {name: write(tmp_path / f"{name}{suffix}", of_set) for name, of_set in rows.items()}
    found = feature_vectors(source, given, report=quiet)
    for name, one in given.items():
        assert torch.equal(found.vectors[name], one.images.flatten(1))


def vectors_of(given, d=3):
    return {name: items(len(one), d, seed=5).images for name, one in given.items()}


@pytest.mark.parametrize("names", [(), ("samples",), ("samples", "train"), ("samples", "train", "test")])
def test_vectors_have_to_be_of_the_sets(names):
    given = sets()
    source = {name: torch.zeros(5, 3) for name in names}
    with pytest.raises(InputError, match="features: expected the vectors of samples, train, holdout, got"):
        feature_vectors(source, given, report=quiet)


def test_vectors_that_fit_no_set_are_named(tmp_path):
    given = sets()
    good = vectors_of(given)
    bad = {
        "7 items.*shape": torch.zeros(6, 3),
        r"\[7, d\], got shape \(7, 3, 1\)": torch.zeros(7, 3, 1),
        "finite": torch.full((7, 3), torch.nan),
        "up to 1e\\+15": torch.full((7, 3), 1e20),
        "real numbers": np.zeros((7, 3), dtype=complex),
        "no such file": str(tmp_path / "none.npy"),
        "same for all of train": torch.ones(7, 3),
        "one size, got 3 for samples, 4 for train": items(7, 4).images,
    }
    for words, rows in bad.items():
        with pytest.raises(InputError, match=f"features.*{words}"):
            feature_vectors({**good, "train": rows}, given, report=quiet)


def test_vectors_beside_items_that_were_passed_over_are_ambiguous():
    given = sets()
    one = given["samples"]
    given["samples"] = ImageSet(one.images, one.names, (Skipped("a.png", "truncated"),))
    with pytest.raises(InputError, match=r"expected samples of which every item can be used.*1 were.*a\.png"):
        feature_vectors(vectors_of(given), given, report=quiet)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x, "expected 5 vectors for samples, got shapes"),
        (lambda x: x.flatten(1)[1:], "expected 5 vectors for samples"),
        (lambda x: x.flatten(1).sum(1), "expected 5 vectors for samples"),
        (lambda x: x.flatten(1) / 0, "samples: expected finite features"),
        (lambda x: x.flatten(1) * 1e30, "up to 1e\\+15 for samples"),
        (lambda x: 1 + 0 * x.flatten(1), "same for all of train"),
        (lambda x: x.flatten(1)[:, : len(x)], "one size, got 5 for samples, 7 for train"),
        (None, "features: expected a function, a name, a file or vectors"),
        (3, "features: expected a function of a batch of items, got int"),
    ],
)
def test_functions_that_give_no_vectors_are_named(function, words):
    with pytest.raises(InputError, match=words):
        feature_vectors(function, sets(), report=quiet)


def test_vectors_of_one_size_within_a_set():
    x = items(PART + 1, 8).images
    with pytest.raises(InputError, match="one size for x, got 8 and 1 numbers"):
        embedded(x, lambda x: x[:, : len(x)], "x", batch_size=PART)
