import dataclasses
import hashlib
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memhorizon.datasets import sources
from memhorizon.datasets.config import DataConfig
from memhorizon.datasets.sources import FASHION_MNIST, order
from memhorizon.datasets.split import load_split
from memhorizon.distributions import Gaussian, GaussianMixture
from memhorizon.errors import InputError
from memhorizon.files import folders
from memhorizon.files.images import load_images
from memhorizon.files.layouts import read_digits
from memhorizon.files.pictures import decode, is_coloured
from memhorizon.measure.memorization import gap_ratios, memorized_fraction


def noise(*shape, seed=0, high=256):
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Forty pictures, six of them broken."""
    root = tmp_path / "pictures"
    root.mkdir()
    for i, picture in enumerate(noise(40, 5, 6, 3)):
        Image.fromarray(picture).save(root / f"{i:02}.png")
    for i in (3, 4, 11, 20, 33, 39):
        (root / f"{i:02}.png").write_bytes(b"broken")
    return root


def config(root, **options):
    return DataConfig("folder", path=str(root), **{"n_train": 4, "n_holdout": 5, **options})


def test_digits_by_default():
    split = load_split(DataConfig())
    assert split.train.shape == (128, 1, 8, 8)
    assert split.holdout.shape == (512, 1, 8, 8)
    assert split.item_shape == (1, 8, 8)
    assert split.name == "digits"
    pixels, labels = read_digits()
    # the centre is one float32, subtracted and added again: two roundings of numbers below 1
    torch.testing.assert_close(split.to_pixels(split.train), pixels[split.train_index], atol=2**-23, rtol=0)
    torch.testing.assert_close(
        split.to_pixels(split.holdout), pixels[split.holdout_index], atol=2**-23, rtol=0
    )
    assert torch.equal(split.labels, labels[split.train_index])
    assert abs(float(split.train.double().mean())) < 2**-23
    assert split.center == pytest.approx(float(pixels[split.train_index].mean()), abs=1e-6)


def test_scale_multiplies_after_centring():
    plain, wide = load_split(DataConfig()), load_split(DataConfig(scale=2.0))
    assert torch.equal(wide.train, 2 * plain.train)
    assert torch.equal(wide.to_pixels(wide.holdout), plain.to_pixels(plain.holdout))


@pytest.mark.parametrize("seed", [0, 1])
def test_subsets_are_disjoint_nested_and_away_from_the_held_out(seed):
    split = {k: load_split(DataConfig(n_train=200, subset=k, seed=seed)) for k in range(6)}
    index = [set(s.train_index.tolist()) for s in split.values()] + [set(split[0].holdout_index.tolist())]
    assert sum(len(i) for i in index) == len(set.union(*index)) == 6 * 200 + 512
    assert all(torch.equal(s.holdout_index, split[0].holdout_index) for s in split.values())
    small = load_split(DataConfig(n_train=30, seed=seed, n_holdout=100))
    assert torch.equal(small.train_index, split[0].train_index[:30])
    assert torch.equal(small.holdout_index, split[0].holdout_index[:100])


def test_the_order_depends_on_the_seed_and_on_nothing_else():
    assert torch.equal(order(50, 3), order(50, 3))
    assert not torch.equal(order(50, 3), order(50, 4))
    assert order(50, 3).sort().values.tolist() == list(range(50))
    a, b = load_split(DataConfig()), load_split(DataConfig())
    assert torch.equal(a.train, b.train)


def test_all_digits_can_be_used_and_one_more_is_an_error():
    assert len(load_split(DataConfig(n_train=1285)).train) == 1285
    with pytest.raises(
        InputError, match=r"<= 1,797, all that digits holds, got \(0 \+ 1\) \* 1286 \+ 512 = 1,798"
    ):
        load_split(DataConfig(n_train=1286))
    with pytest.raises(InputError, match=r"\(10 \+ 1\) \* 128 \+ 512 = 1,920"):
        load_split(DataConfig(subset=10))


def test_a_folder_gives_slices_of_one_order_without_the_broken_files(folder):
    """The lazy walk over a part equals the part of the walk over everything."""
    broken = {3, 4, 11, 20, 33, 39}
    everything = load_split(config(folder, n_train=25, n_holdout=9))
    whole, held = everything.train_index.tolist(), everything.holdout_index.tolist()
    assert sorted(whole + held) == [i for i in range(40) if i not in broken]
    assert {row.name for row in everything.skipped} == {f"{i:02}.png" for i in broken}
    for subset in range(4):
        split = load_split(config(folder, subset=subset, n_holdout=9))
        assert split.train_index.tolist() == whole[4 * subset : 4 * subset + 4]
        assert split.holdout_index.tolist() == held
        for x, i in zip(split.to_pixels(split.train), split.train_index.tolist(), strict=True):
            torch.testing.assert_close(x, decode(folder / f"{i:02}.png"), atol=2**-23, rtol=0)


def test_a_folder_opens_no_more_files_than_it_takes(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(folders, "decode", lambda path: opened.append(path) or decode(path))
    split = load_split(config(folder))
    assert len(opened) == 9 + len(split.skipped)


def test_broken_files_count_when_there_are_too_few(folder):
    assert len(load_split(config(folder, n_train=29)).train) == 29
    for n_train in (30, 31, 35):
        with pytest.raises(InputError, match="<= 34, all that folder holds after 6 unusable pictures"):
            load_split(config(folder, n_train=n_train))
    with pytest.raises(InputError, match="<= 40, all that folder holds, got"):
        load_split(config(folder, n_train=36))
    with pytest.raises(InputError, match="<= 34, .* after 6 unusable"):
        load_split(config(folder, n_train=10, subset=2))


def test_file_and_folder_hold_the_same_pictures_each_in_its_own_order(tmp_path):
    pixels = noise(30, 9, 7, 3)
    np.save(tmp_path / "a.npy", pixels)
    (tmp_path / "folder").mkdir()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "folder" / f"{i:02}.png")
    options = {"n_train": 18, "n_holdout": 12, "size": 6, "grey": True}
    a = load_split(DataConfig("file", path=str(tmp_path / "a.npy"), **options))
    b = load_split(DataConfig("folder", path=str(tmp_path / "folder"), **options))
    in_order = [
        torch.cat([s.to_pixels(s.train), s.to_pixels(s.holdout)])[
            torch.cat([s.train_index, s.holdout_index]).argsort()
        ]
        for s in (a, b)
    ]
    assert in_order[0].shape == (30, 1, 6, 6)
    torch.testing.assert_close(*in_order, atol=2**-22, rtol=0)  # each centred and back: two roundings each


def test_idx_cifar10_and_celeba(tmp_path):
    import struct

    for word in ("mnist", "cifar10", "celeba/img_align_celeba"):
        (tmp_path / word).mkdir(parents=True)
    images = noise(20, 28, 28)
    head = struct.pack(">BBBBIII", 0, 0, 8, 3, 20, 28, 28)
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(head + images.tobytes())
    table = noise(20, 3073)
    table[:, 0] %= 10
    for i in range(5):
        (tmp_path / "cifar10" / f"data_batch_{i + 1}.bin").write_bytes(table[4 * i : 4 * i + 4].tobytes())
    for i in range(20):
        picture = Image.fromarray(noise(218, 178, 3, seed=i))
        picture.save(tmp_path / "celeba/img_align_celeba" / f"{i:06}.jpg")
    shapes = {
        "mnist": (1, 28, 28),
        "fashion-mnist": (1, 28, 28),
        "cifar10": (3, 32, 32),
        "celeba": (3, 218, 178),
    }
    for name, shape in shapes.items():
        path = str(tmp_path / name.removeprefix("fashion-"))
        split = load_split(DataConfig(name, path=path, n_train=12, n_holdout=8))
        assert split.item_shape == shape
        assert sorted(split.train_index.tolist() + split.holdout_index.tolist()) == list(range(20))
    faces = load_split(DataConfig("celeba", path=path, n_train=12, n_holdout=8, size=32, grey=True))
    assert faces.item_shape == (1, 32, 32)


def test_a_partial_copy_of_celeba_lists_what_is_missing(tmp_path):
    for i in range(20):
        if i % 4:
            Image.fromarray(noise(218, 178, 3, seed=i)).save(tmp_path / f"{i:06}.jpg")
    (tmp_path / "list_eval_partition.txt").write_text("".join(f"{i:06}.jpg 0\n" for i in range(20)))
    config = DataConfig("celeba", path=str(tmp_path), n_train=9, n_holdout=6, size=8)
    split = load_split(config)
    assert {row.name for row in split.skipped} == {f"{i:06}.jpg" for i in range(0, 20, 4)}
    assert all("No such file" in row.reason for row in split.skipped)
    with pytest.raises(InputError, match="<= 15, all that celeba holds after 5 unusable pictures"):
        load_split(dataclasses.replace(config, n_train=10))


def test_fashion_mnist_elsewhere_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sources, "FASHION_MNIST", "/nowhere/fashion")
    with pytest.raises(
        InputError, match="/nowhere/fashion; install Debian's dataset-fashion-mnist, or give the folder"
    ):
        load_split(DataConfig("fashion-mnist"))


def test_a_gaussian_with_its_truth():
    base = DataConfig("gaussian", dim=6, exponent=1.0, basis="random", n_train=40)
    split = load_split(base)
    assert isinstance(split.truth, Gaussian)
    assert split.train.shape == (40, 6)
    assert (split.center, split.scale) == (0, 1)
    values = torch.linalg.eigvalsh(split.truth.covariance)
    expected = torch.tensor([1 / k for k in range(6, 0, -1)], dtype=torch.float64)
    torch.testing.assert_close(values, 6 * expected / expected.sum())
    other = load_split(dataclasses.replace(base, n_train=20, subset=1))
    assert torch.equal(other.train, split.train[20:])
    assert torch.equal(other.holdout, split.holdout)
    assert torch.equal(other.truth.covariance, split.truth.covariance)
    assert not torch.equal(load_split(dataclasses.replace(base, seed=1)).train, split.train)
    given = load_split(DataConfig("gaussian", dim=2, eigenvalues=(2.0, 0.5)))
    assert torch.equal(given.truth.covariance, torch.diag(torch.tensor([2.0, 0.5], dtype=torch.float64)))


def test_the_papers_mixture_by_default():
    truth = load_split(DataConfig("mixture")).truth
    assert isinstance(truth, GaussianMixture)
    assert torch.equal(truth.means, torch.tensor([[1.0] * 8, [-1.0] * 8], dtype=torch.float64))
    assert torch.equal(truth.covariances, torch.eye(8, dtype=torch.float64).repeat(2, 1, 1))
    assert truth.weights.tolist() == [0.5, 0.5]
    assert load_split(DataConfig("mixture", components=5, mean=2.0)).truth.means.abs().unique().tolist() == [
        2
    ]


def test_to_another_device_keeps_all():
    split = load_split(DataConfig("mixture", n_train=4, n_holdout=3)).to("cpu")
    assert len(split.train) == 4
    assert isinstance(split.truth, GaussianMixture)


BAD_CONFIGS = {
    "no items": ({"n_train": 0}, "n_train: expected at least 1, got 0"),
    "negative holdout": ({"n_holdout": -1}, "n_holdout: expected at least 0"),
    "negative subset": ({"subset": -1}, "subset: expected at least 0"),
    "negative seed": ({"seed": -1}, "seed: expected at least 0"),
    "seed of too many bits": ({"seed": 2**63}, r"seed: expected .*less than 2\*\*63"),
    "size zero": ({"size": 0}, "size: expected at least 1"),
    "scale zero": ({"scale": 0.0}, "scale: expected a positive number, .*got 0.0"),
    "scale NaN": ({"scale": float("nan")}, "scale: expected a finite number, got nan"),
    "scale beyond float32": ({"scale": 1e39}, "scale: expected a positive number, 1e-30 to"),
    "scale below float32": ({"scale": 1e-300}, "scale: expected a positive number, 1e-30 to"),
    "scale beyond floats": ({"scale": 10**400}, "scale: expected a finite number, got one that is too large"),
    "mean beyond floats": (
        {"name": "mixture", "mean": -(10**400)},
        "mean: expected a finite number, got one that is too large",
    ),
    "mean beyond float32": ({"name": "mixture", "mean": -1e39}, r"mean: expected at most 1e\+30"),
    "a seed of 9,000 digits": ({"seed": 10**9000}, "seed: expected an integer, .*too large"),
    "size of a terabyte": ({"size": 2**40}, "size: expected at most 8,192 pixels"),
    "an empty path": ({"name": "folder", "path": ""}, "path: .*got an empty path"),
    "eigenvalues beyond all": ({"name": "gaussian", "exponent": -1000.0}, "exponent: expected one of which"),
    "eigenvalues below all": ({"name": "gaussian", "exponent": 1000.0}, "exponent: expected one of which"),
    "an integer as exponent": ({"name": "gaussian", "exponent": -1000}, "exponent: expected one of which"),
    "a covariance of gigabytes": ({"name": "gaussian", "dim": 20_000}, "dim, components: expected at most"),
    "many covariances": (
        {"name": "mixture", "dim": 1000, "components": 17},
        r"dim, components: expected at most 16,777,216 numbers .*got 17 \* 1,000\*\*2",
    ),
    "draws of a terabyte": (
        {"name": "gaussian", "n_train": 2**37},
        "n_train, n_holdout, subset, dim: expected",
    ),
    "a late subset": ({"name": "gaussian", "subset": 2**40}, "n_train, n_holdout, subset, dim: expected"),
    "digits from a path": ({"path": "x"}, "path: digits is not read from a path"),
    "mixture from a path": ({"name": "mixture", "path": "x"}, "path: mixture is not read"),
    "scaled draws": ({"name": "mixture", "scale": 2.0}, "mixture has no pixels"),
    "resized draws": ({"name": "gaussian", "size": 8}, "gaussian has no pixels"),
    "grey draws": ({"name": "gaussian", "grey": True}, "gaussian has no pixels"),
    "no dimension": ({"name": "gaussian", "dim": 0}, "dim: expected at least 1"),
    "no component": ({"name": "mixture", "components": 0}, "components: expected 1 to"),
    "too many components": (
        {"name": "mixture", "dim": 2, "components": 5},
        r"components: expected 1 to 2\*\*dim",
    ),
    "infinite mean": ({"name": "mixture", "mean": float("inf")}, "mean: expected a finite number, got inf"),
    "NaN mean, unused": ({"name": "digits", "mean": float("nan")}, "mean: expected a finite number, got nan"),
    "NaN exponent": ({"exponent": float("nan")}, "exponent: expected a finite number, got nan"),
    "too few eigenvalues": ({"name": "gaussian", "eigenvalues": (1.0,)}, "eigenvalues: expected 8 positive"),
    "negative eigenvalue": (
        {"name": "gaussian", "dim": 2, "eigenvalues": (1.0, -1.0)},
        "expected 2 positive",
    ),
    "NaN eigenvalue": ({"name": "gaussian", "dim": 1, "eigenvalues": (float("nan"),)}, "expected finite"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_bad_configurations_are_named(case):
    options, message = BAD_CONFIGS[case]
    with pytest.raises(InputError, match=message):
        DataConfig(**options)


BOUNDS = {  # the last that is taken and the first that is not
    "size": ({"size": 8192}, {"size": 8193}),
    "scale": ({"scale": 1e30}, {"scale": 1.1e30}),
    "small scale": ({"scale": 1e-30}, {"scale": 0.9e-30}),
    "mean": ({"name": "mixture", "mean": -1e30}, {"name": "mixture", "mean": -1.1e30}),
    "eigenvalue": (
        {"name": "gaussian", "dim": 1, "eigenvalues": (1e30,)},
        {"name": "gaussian", "dim": 1, "eigenvalues": (1.1e30,)},
    ),
    "covariance": ({"name": "gaussian", "dim": 4096}, {"name": "gaussian", "dim": 4097}),
    "components": (
        {"name": "mixture", "dim": 3, "components": 8},
        {"name": "mixture", "dim": 3, "components": 9},
    ),
    "draws": (
        {"name": "gaussian", "dim": 1, "n_train": 2**30, "subset": 2, "n_holdout": 2**30},
        {"name": "gaussian", "dim": 1, "n_train": 2**30, "subset": 2, "n_holdout": 2**30 + 1},
    ),
    "seed": ({"seed": 2**63 - 1}, {"seed": 2**63}),
    "nothing but training": ({"n_train": 1, "n_holdout": 0, "subset": 0, "seed": 0}, {"n_train": 0}),
}


@pytest.mark.parametrize("case", BOUNDS)
def test_bounds_of_a_configuration_are_those_that_are_named(case):
    taken, refused = BOUNDS[case]
    DataConfig(**taken)
    with pytest.raises(InputError, match="expected"):
        DataConfig(**refused)


@pytest.mark.parametrize(("word", "value"), [("name", "imagenet"), ("basis", "fourier")])
def test_unknown_words_are_named(word, value):
    """Set from outside, since the annotation check of the tests comes first otherwise."""
    config = DataConfig("mixture")
    object.__setattr__(config, word, value)
    with pytest.raises(InputError, match=f"{word}: expected one of .*, got '{value}'"):
        config.__post_init__()


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "the folder that holds mnist"),
        ("cifar10", "the folder that holds cifar10"),
        ("celeba", "the folder that holds celeba"),
        ("folder", "a folder of images"),
        ("file", r"a \.npy, \.npz or \.safetensors file"),
    ],
)
def test_paths_that_are_wrong_are_named(tmp_path, name, place):
    with pytest.raises(InputError, match=f"^path: expected {place}, got None$"):
        load_split(DataConfig(name))
    with pytest.raises(InputError, match="path: no such file or folder as no/such/place$"):
        load_split(DataConfig(name, path="no/such/place"))
    (tmp_path / "a.txt").write_text("a")
    message = (
        "a.txt: expected a folder, a .npy"
        if name == "file"
        else f"expected a folder for {name}, got the file"
    )
    with pytest.raises(InputError, match=message):
        load_split(DataConfig(name, path=str(tmp_path / "a.txt")))


def test_values_that_are_wrong_are_named(tmp_path):
    x = noise(9, 4, 4)
    x[5] = 0
    np.save(tmp_path / "a.npy", x)
    options = {"path": str(tmp_path / "a.npy"), "n_train": 4, "n_holdout": 2}
    with pytest.raises(InputError, match="a.npy: 1 of 9 items are one single colour, the first is number 5"):
        load_split(DataConfig("file", **options))
    tall = np.zeros((9, 1, 8, 4), np.uint8)
    tall[:, :, :2] = noise(9, 1, 2, 4)  # nothing is left of them after the crop
    np.save(tmp_path / "a.npy", tall)
    with pytest.raises(InputError, match="file: 2 of 2 items are one single colour"):
        load_split(DataConfig("file", size=4, **options))


def test_no_holdout_is_fine():
    assert load_split(DataConfig(n_holdout=0)).holdout.shape == (0, 1, 8, 8)
    assert load_split(DataConfig(n_holdout=0, size=12, grey=True)).holdout.shape == (0, 1, 12, 12)
    assert load_split(DataConfig("mixture", n_holdout=0)).holdout.shape == (0, 8)


def test_one_of_several_arrays_and_torchvisions_folders(tmp_path):
    images = noise(20, 8, 6)
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=noise(20, 1))
    options = {"n_train": 12, "n_holdout": 8}
    split = load_split(DataConfig("file", path=f"{tmp_path}/a.npz::train_images", **options))
    assert split.item_shape == (1, 8, 6)
    for name, folder in (("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw")):
        (tmp_path / folder).mkdir(parents=True)
        head = bytes([0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 8, 0, 0, 0, 6])
        (tmp_path / folder / "train-images-idx3-ubyte").write_bytes(
            head + noise(20, 8, 6, seed=len(name)).tobytes()
        )
        split = load_split(DataConfig(name, path=str(tmp_path), **options))
        pixels = noise(20, 8, 6, seed=len(name))[split.train_index] / np.float32(255)
        np.testing.assert_allclose(split.to_pixels(split.train)[:, 0].numpy(), pixels, atol=2**-23)


# The order of items follows from what they hold.


def of_order(split):
    digest = hashlib.sha256(torch.cat([split.train_index, split.holdout_index]).numpy().tobytes())
    return digest.hexdigest()[:16]


BUILT_IN = {  # recorded before folders and files were ordered by what they hold; committed records rest on it
    "digits": ({"n_train": 128, "n_holdout": 256}, "a5f81c24e933d8d2"),
    "digits, subset 2": ({"n_train": 64, "n_holdout": 256, "subset": 2}, "f135cab22d575738"),
    "digits, all": ({"n_train": 1541, "n_holdout": 256}, "e95ad6fd57f986f8"),
    "digits, seed 1": ({"n_train": 300, "n_holdout": 128, "subset": 1, "seed": 1}, "b7f995f35db59b2c"),
}


@pytest.mark.parametrize("case", BUILT_IN)
def test_the_order_of_the_digits_is_that_of_the_committed_records(case):
    options, recorded = BUILT_IN[case]
    split = load_split(DataConfig(**options))
    assert of_order(split) == recorded
    assert split.facts()["duplicates"]["items"] == split.facts()["duplicates"]["left_out_of_training"] == 0


@pytest.mark.skipif(not Path(FASHION_MNIST).exists(), reason="dataset-fashion-mnist is not installed")
def test_the_order_of_fashion_mnist_is_that_of_the_committed_records():
    split = load_split(DataConfig("fashion-mnist", n_train=64, n_holdout=256, size=14, subset=2))
    assert of_order(split) == "ef9f435f6c8c1c1c"


def save(root, pictures, names=None):
    root.mkdir(exist_ok=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(root / (names[i] if names else f"{i:03}.png"))


def rows(items):
    return {item.numpy().tobytes() for item in items}


def members(split):
    """The pixels of both sets, exactly as they are in the files."""
    undone = [(split.to_pixels(x) * 255).round() for x in (split.train, split.holdout)]
    return rows(undone[0]), rows(undone[1])


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("n_train", [20, 48])
def test_one_more_item_displaces_no_more_than_one_of_each_set(tmp_path, kind, n_train):
    """With 20 of 60 some items belong to neither set; with 48 and 12 all are taken."""
    pictures = noise(66, 6, 6)
    path = tmp_path / ("x.npy" if kind == "file" else "x")

    def split_of(some):
        if kind == "file":
            np.save(path, some)
        else:
            save(path, some[len(list(path.glob("*"))) :], [f"{len(some)}-{i}.png" for i in range(60)])
        return members(load_split(DataConfig(kind, path=str(path), n_train=n_train, n_holdout=12)))

    train, holdout = split_of(pictures[:60])
    for count in range(61, 67):
        more_train, more_holdout = split_of(pictures[:count])
        assert len(train - more_train) + len(holdout - more_holdout) <= 1
        assert not train & more_holdout
        assert not holdout & more_train
        train, holdout = more_train, more_holdout


def test_names_and_the_place_in_an_array_say_nothing(tmp_path):
    pictures = noise(40, 6, 6)
    save(tmp_path / "a", pictures)
    save(tmp_path / "b", pictures[::-1], [f"{hash(i) % 97:02}x{i}.png" for i in range(40)])
    np.save(tmp_path / "a.npy", pictures)
    np.save(tmp_path / "b.npy", pictures[::-1].astype(np.float32) / 255)
    for kind, a, b in (("folder", "a", "b"), ("file", "a.npy", "b.npy")):
        one, other = (
            load_split(DataConfig(kind, path=str(tmp_path / name), n_train=9, n_holdout=7)) for name in (a, b)
        )
        assert torch.equal(one.train, other.train)
        assert torch.equal(one.holdout, other.holdout)
        assert one.facts()["fingerprint"] == other.facts()["fingerprint"]


def test_a_file_that_is_removed_leaves_all_others_where_they_are(tmp_path):
    save(tmp_path / "x", noise(60, 6, 6))
    options = {"path": str(tmp_path / "x"), "n_train": 20, "n_holdout": 12}
    before = load_split(DataConfig("folder", **options))
    (tmp_path / "x" / f"{int(before.train_index[3]):03}.png").unlink()
    (tmp_path / "x" / f"{int(before.holdout_index[3]):03}.png").unlink()
    after = load_split(DataConfig("folder", **options))
    (train, holdout), (less_train, less_holdout) = members(before), members(after)
    assert len(train & less_train) == 19
    assert len(holdout & less_holdout) == 11
    assert not (train & less_holdout) | (holdout & less_train)


def test_the_seed_gives_another_order(tmp_path):
    save(tmp_path / "x", noise(60, 6, 6))
    splits = [load_split(config(tmp_path / "x", seed=seed, n_train=20)) for seed in (0, 0, 1)]
    assert torch.equal(splits[0].train_index, splits[1].train_index)
    assert not torch.equal(splits[0].train_index, splits[2].train_index)


def test_the_fingerprint_is_of_the_items(tmp_path):
    path = tmp_path / "x.npy"
    base = DataConfig("file", path=str(path), n_train=20, n_holdout=10)
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)

    def fingerprint(array, **options):
        np.save(path, array)
        return load_split(dataclasses.replace(base, **options)).facts()["fingerprint"]

    same = fingerprint(x)
    assert same.startswith("sha256:")
    assert len(same) == 7 + 64
    assert fingerprint(x) == same
    signed, zeros = x.copy(), x.copy()
    signed[:, 1], zeros[:, 1] = -0.0, 0.0
    assert fingerprint(signed) == fingerprint(zeros)
    assert fingerprint(x) == same
    off = x.copy()
    off[load_split(base).train_index[5], 2] += 1e-6
    others = [
        fingerprint(9 * x),
        fingerprint(off),
        fingerprint(x, seed=1),
        fingerprint(x, n_train=19),
        fingerprint(x, n_train=19, n_holdout=11),
        fingerprint(x, scale=2.0),
        fingerprint(x.reshape(40, 2, 2)),
        load_split(DataConfig("mixture", dim=4, n_train=20, n_holdout=10)).facts()["fingerprint"],
        load_split(DataConfig("mixture", dim=4, n_train=20, n_holdout=10, seed=1)).facts()["fingerprint"],
    ]
    assert len({same, *others}) == 1 + len(others)


# Duplicates.


def jpeg(picture, quality):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def digits_as_bytes(count):
    """Real pictures of 16 x 16 pixels: their neighbours are as near as those of pictures are."""
    pixels = read_digits()[0][:count, 0].repeat_interleave(2, 1).repeat_interleave(2, 2)
    return (pixels * 255).round().byte().numpy()


CHANGES = {
    "the same bytes": lambda x, rng: x,
    "one grey level up or down": lambda x, rng: np.clip(x + rng.integers(-1, 2, x.shape), 0, 255),
    "JPEG of quality 95": lambda x, rng: jpeg(x, 95),
    "JPEG of quality 90": lambda x, rng: jpeg(x, 90),
}


@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("change", CHANGES)
def test_duplicates_are_grouped_and_no_group_is_split(tmp_path, change, times):
    """200 pictures, each `times` times: the groups are known from how they were made."""
    rng = np.random.default_rng(0)
    plain = digits_as_bytes(200)
    again = [[CHANGES[change](x, rng) for x in plain] for _ in range(times - 1)]
    array = np.concatenate([plain, *again]).astype(np.uint8)
    origin = torch.arange(200).repeat(times)
    permutation = rng.permutation(len(array))
    np.save(tmp_path / "x.npy", array[permutation])
    origin = origin[torch.from_numpy(permutation)]
    base = DataConfig("file", path=str(tmp_path / "x.npy"), n_train=60, n_holdout=80)
    for seed, n_train, subset in ((0, 60, 0), (1, 20, 2), (2, 120, 0), (3, 7, 0)):
        options = {"seed": seed, "n_train": n_train, "subset": subset, "n_holdout": 3 if seed == 2 else 80}
        split = load_split(dataclasses.replace(base, **options))
        train, holdout = origin[split.train_index], origin[split.holdout_index]
        assert not set(train.tolist()) & set(holdout.tolist())
        assert split.group.tolist() == first(train)
        facts = split.facts()["duplicates"]
        size = train.bincount()
        assert facts["items"] == int(size[size > 1].sum())
        assert facts["groups"] == int((size > 1).sum())
        assert facts["largest"] == int(size.max())
        held = holdout.bincount()
        assert facts["holdout_items"] == int(held[held > 1].sum())


def first(labels):
    """Number groups from 0 in the order of first appearance."""
    seen = {}
    return [seen.setdefault(label, len(seen)) for label in labels.tolist()]


def test_a_perfect_memorizer_of_duplicates_is_found_out(tmp_path):
    x = np.random.default_rng(0).normal(size=(150, 8)).astype(np.float32)
    for times in (1, 2, 4):
        np.save(tmp_path / "x.npy", np.concatenate([x] * times))
        data = DataConfig("file", path=str(tmp_path / "x.npy"), n_train=100 * times, n_holdout=40 * times)
        split = load_split(data)
        noise = torch.randn(split.train.shape, generator=torch.Generator().manual_seed(1))
        # d1 is about 1e-3 sqrt(8), d2 of another item above 0.1 for each of 400: the ratio is far below 1/3
        ratios = gap_ratios(split.train + 1e-3 * noise, split.train, group=split.group)
        assert memorized_fraction(ratios).value == 1
        assert len(split.group.unique()) == 100


def test_saved_again_in_another_format_and_synchronised_copies_are_the_same_picture(tmp_path):
    pictures = noise(40, 6, 6, 3)
    save(tmp_path / "x", pictures)
    save(tmp_path / "x", pictures, [f"IMG ({i}).bmp" for i in range(40)])
    save(tmp_path / "x", pictures[:10], [f"{i:03} (conflicted copy).png" for i in range(10)])
    split = load_split(config(tmp_path / "x", n_train=30, n_holdout=20))
    facts = split.facts()["duplicates"]
    assert facts["largest"] in (2, 3)
    train, holdout = members(split)
    assert not train & holdout
    assert len(train) == len(split.group.unique())


def test_subsets_keep_away_from_each_other_and_the_held_out_with_duplicates(tmp_path):
    """The documented properties hold with duplicates that are far apart in the order."""
    pictures = noise(60, 6, 6)
    save(tmp_path / "x", pictures)
    save(
        tmp_path / "x", pictures, [f"again{i}.bmp" for i in range(60)]
    )  # other bytes: not next to each other
    whole = load_split(config(tmp_path / "x", n_train=80, n_holdout=20))
    subsets = [load_split(config(tmp_path / "x", n_train=20, n_holdout=20, subset=k)) for k in range(4)]
    assert whole.facts()["duplicates"]["left_out_of_training"] > 0
    assert torch.cat([s.train_index for s in subsets]).tolist() == whole.train_index.tolist()
    for split in subsets:
        assert torch.equal(split.holdout_index, whole.holdout_index)
        assert not members(split)[0] & members(split)[1]


def test_too_many_duplicates_are_said(tmp_path):
    np.save(tmp_path / "x.npy", np.repeat(noise(10, 4, 4), 5, 0))
    base = DataConfig("file", path=str(tmp_path / "x.npy"), n_train=30, n_holdout=3)
    with pytest.raises(InputError, match=r"<= 48, all that file holds after 2 duplicates of held-out items"):
        load_split(dataclasses.replace(base, n_train=46))
    with pytest.raises(InputError, match="= 63; only 10 of 50 are distinct"):
        load_split(dataclasses.replace(base, n_train=60))
    np.save(tmp_path / "x.npy", np.repeat(noise(1, 4, 4), 5, 0))
    with pytest.raises(InputError, match="after 4 duplicates of held-out items.*only 1 of 5 are distinct"):
        load_split(dataclasses.replace(base, n_train=1, n_holdout=1))


def test_honest_data_are_not_joined():
    """All digits, of any seed; draws of few dimensions, where neighbours are near by chance."""
    for seed in range(3):
        split = load_split(DataConfig(n_train=1285, seed=seed))
        assert split.facts()["duplicates"]["items"] <= 2
    for name in ("gaussian", "mixture"):
        split = load_split(DataConfig(name, dim=1, n_train=2000, n_holdout=10))
        assert split.facts()["duplicates"]["rule"] == "exact: equal in every value"
        assert split.group.tolist() == list(range(2000))


def test_points_of_few_dimensions_are_joined_as_seldom_as_stated(tmp_path):
    """The rule allows a neighbour by chance to one item in a thousand: 2 of 2,000, Poisson."""
    for dim in (1, 2, 3):
        np.save(tmp_path / "x.npy", np.random.default_rng(dim).uniform(size=(3000, dim)).astype(np.float32))
        split = load_split(DataConfig("file", path=str(tmp_path / "x.npy"), n_train=2000, n_holdout=200))
        assert split.near > 0
        # above 10 with probability 8e-6 each, were the rule's two estimates exact
        assert split.facts()["duplicates"]["items"] <= 10
        assert split.facts()["duplicates"]["left_out_of_training"] <= 10
        assert float(torch.cdist(split.train.double(), split.holdout.double()).min()) > split.near


def test_scale_does_not_matter_to_duplicates(tmp_path):
    np.save(tmp_path / "x.npy", np.concatenate([digits_as_bytes(100)] * 2))
    base = DataConfig("file", path=str(tmp_path / "x.npy"), n_train=60, n_holdout=40)
    one, other = (load_split(dataclasses.replace(base, scale=scale)) for scale in (1.0, 20.0))
    assert torch.equal(one.group, other.group)
    assert one.near == other.near


# Channels, and what was passed over.

MODES = ("L", "LA", "RGB", "RGBA", "P", "1", "CMYK", "I;16", "YCbCr")


@pytest.mark.parametrize("mode", MODES)
def test_the_head_of_a_file_tells_its_channels(tmp_path, mode):
    suffix = "tif" if mode in ("CMYK", "YCbCr") else "png"
    grey = noise(8, 8)
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey)
    picture = picture if mode == "I;16" else picture.convert("RGB").convert(mode)
    packed = {"compression": "tiff_lzw"} if mode == "YCbCr" else {}  # Pillow 12 cannot read its own, unpacked
    picture.save(tmp_path / f"a.{suffix}", **packed)
    assert is_coloured(tmp_path / f"a.{suffix}") == (len(decode(tmp_path / f"a.{suffix}")) == 3)


def test_no_file_no_colour(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").write_bytes(b"broken")
    for name in ("pipe.png", "broken.png", "missing.png"):
        assert not is_coloured(tmp_path / name)


@pytest.mark.parametrize("coloured", [0, 1, 3])
def test_channels_do_not_depend_on_which_pictures_are_taken(tmp_path, coloured):
    pictures = noise(40, 5, 5)
    save(tmp_path / "x", pictures)
    for i in range(coloured):
        Image.fromarray(noise(5, 5, 3 + i % 2, seed=i + 1)).save(tmp_path / "x" / f"{7 * i:03}.png")
    for seed in range(2):
        for options in ({"n_train": 2, "n_holdout": 1}, {"n_train": 3, "subset": 5}, {"n_train": 30}):
            split = load_split(config(tmp_path / "x", seed=seed, **options))
            assert split.item_shape == (3 if coloured else 1, 5, 5)
            assert split.holdout.shape[1:] == split.item_shape
            assert load_split(config(tmp_path / "x", seed=seed, grey=True, **options)).item_shape[0] == 1


def test_mixed_sizes_are_refused_also_between_the_two_sets(tmp_path):
    save(tmp_path / "x", noise(6, 5, 5))
    first = load_split(config(tmp_path / "x", n_train=1, n_holdout=5)).train_index[0]
    Image.fromarray(noise(9, 9)).save(tmp_path / "x" / f"{int(first):03}.png")
    with pytest.raises(InputError, match="size: expected pictures of one size"):
        load_split(config(tmp_path / "x", n_train=1, n_holdout=5))


def test_facts_say_what_was_passed_over(folder):
    (folder / "notes.txt").write_text("a")
    (folder / "more.txt").write_text("b")
    split = load_split(config(folder, n_train=25, n_holdout=9))
    facts = split.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["n_train"], facts["n_holdout"], facts["n_skipped"]) == (25, 9, 6)
    assert {row["name"] for row in facts["skipped"]} == {row.name for row in split.skipped}
    assert all("cannot be decoded" in row["reason"] for row in facts["skipped"])
    assert facts["ignored"]["count"] == 2
    for i in range(60):
        (folder / f"bad{i}.png").write_bytes(b"%d" % i)
    split = load_split(config(folder, n_train=25, n_holdout=9))
    assert split.facts()["n_skipped"] == len(split.skipped) > 60  # one or two more may lie between the sets
    assert len(split.facts()["skipped"]) == 50


PLAIN = {
    "n_train": (np.int64(7), 7),
    "seed": (np.uint8(3), 3),
    "path": (Path("a") / "b", os.path.join("a", "b")),
    "scale": (np.float32(2.0), 2.0),
    "mean": (2, 2),
    "eigenvalues": (np.array([2.0, 0.5]), (2.0, 0.5)),
}
NOT_PLAIN = {
    "n_train": 7.0,
    "n_holdout": "12",
    "size": 8.5,
    "path": 3,
    "scale": "wide",
    "eigenvalues": 2.0,
    "subset": None,
    "grey": "no",
    "mean": torch.ones(2),
    "scale  ": torch.ones(2),
    "eigenvalues ": torch.ones(8, 2),
    "name": ["digits"],
}


def set_from_outside(word, value):
    """As a user without the annotation checks of the tests would."""
    config = DataConfig("folder")
    object.__setattr__(config, word, value)
    config.__post_init__()
    return getattr(config, word)


@pytest.mark.parametrize("word", PLAIN)
def test_options_become_plain_values(word):
    value, plain = PLAIN[word]
    got = set_from_outside(word, value)
    assert got == plain
    assert type(got) is type(plain)


@pytest.mark.parametrize("word", NOT_PLAIN)
def test_options_of_other_types_are_named(word):
    word, value = word.strip(), NOT_PLAIN[word]
    with pytest.raises(InputError, match=f"^{word}: expected .*, got {re.escape(repr(value))}"):
        set_from_outside(word, value)


def test_true_is_no_number_of_items():
    for options in ({"n_train": True}, {"size": True}, {"scale": True}):
        with pytest.raises(InputError, match=f"{next(iter(options))}: expected .*, got True"):
            DataConfig(**options)


@pytest.mark.parametrize("name", ["mnist", "cifar10", "celeba", "folder", "file"])
def test_paths_that_cannot_be_looked_at_are_named(tmp_path, name, monkeypatch):
    with pytest.raises(InputError, match=r"path: a{300} ... cannot be looked at \(File name too long\)"):
        load_split(DataConfig(name, path="a" * 5000))
    with pytest.raises(InputError, match="path: no such file or folder as a"):
        load_split(DataConfig(name, path="a\0b"))

    def of_another_user(call, below):
        def refuse(path, *rest, **options):
            if str(path).startswith(below):
                raise PermissionError(13, "Permission denied", str(path))
            return call(path, *rest, **options)

        return refuse

    for call in ("stat", "lstat", "listdir", "scandir"):
        below = str(tmp_path) + ("/" if "stat" in call else "")
        monkeypatch.setattr(os, call, of_another_user(getattr(os, call), below))
    with pytest.raises(InputError, match=f"{tmp_path}"):
        load_split(DataConfig(name, path=str(tmp_path)))
    with pytest.raises(InputError, match=r"path: .*/x cannot be looked at \(Permission denied\)"):
        load_split(DataConfig(name, path=str(tmp_path / "x")))


def test_a_folder_given_as_a_file_says_what_was_passed_over(folder):
    split = load_split(DataConfig("file", path=str(folder), n_train=25, n_holdout=9))
    assert len(split.skipped) == 6
    assert torch.equal(split.train, load_split(config(folder, n_train=25, n_holdout=9)).train)


# Items that are given.


def test_items_that_are_given_are_split_as_a_file_that_holds_them(tmp_path):
    pixels = noise(60, 9, 7, 3)
    np.save(tmp_path / "x.npy", pixels)
    options = {"n_train": 18, "n_holdout": 12, "size": 6}
    from_file = load_split(DataConfig("file", path=str(tmp_path / "x.npy"), **options))
    images = load_images(pixels)
    for items in (pixels, torch.from_numpy(pixels), list(pixels), images, tmp_path / "x.npy"):
        given = load_split(DataConfig("file", **options), items)
        assert torch.equal(given.train, from_file.train)
        assert torch.equal(given.holdout, from_file.holdout)
        assert given.facts() == from_file.facts()


def test_a_folder_that_is_given_is_read_as_the_folder_of_the_path(folder):
    split = load_split(DataConfig("file", n_train=25, n_holdout=9), folder)
    assert torch.equal(split.train, load_split(config(folder, n_train=25, n_holdout=9)).train)
    assert len(split.skipped) == 6


@pytest.mark.parametrize("data", [DataConfig(), DataConfig("mixture"), DataConfig("file", path="x.npy")])
def test_items_beside_another_source_are_refused(data):
    with pytest.raises(InputError, match='items: expected a configuration with the name "file" and no path'):
        load_split(data, torch.rand(9, 4, generator=torch.Generator().manual_seed(0)))


def test_a_split_prints_its_shapes_and_not_its_pixels():
    text = repr(load_split(DataConfig(n_train=1000, n_holdout=50, scale=2.0)))
    assert text.startswith("Split(digits: 1,000 training and 50 held-out items of 1 x 8 x 8; center 0.3")
    assert text.endswith(", scale 2)")
    assert len(text) < 120
    empty = load_split(DataConfig("gaussian", n_train=3, n_holdout=0))
    assert repr(empty) == "Split(gaussian: 3 training and 0 held-out items of 8; center 0, scale 1)"
