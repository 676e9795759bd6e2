import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from memhorizon import datasets, layouts
from memhorizon.datasets import DataConfig, load_split, order
from memhorizon.distributions import Gaussian, GaussianMixture
from memhorizon.formats import decode
from memhorizon.layouts import read_digits
from memhorizon.results import InputError


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


def test_a_folder_gives_the_whole_order_without_the_broken_files(folder):
    """The lazy walk equals dropping the broken files from the order of all files."""
    good = [i for i in order(40, 0).tolist() if i not in (3, 4, 11, 20, 33, 39)]
    for subset in range(4):
        split = load_split(config(folder, subset=subset, n_holdout=9))
        assert split.train_index.tolist() == good[4 * subset : 4 * subset + 4]
        assert split.holdout_index.tolist() == good[::-1][:9]
        for x, i in zip(split.to_pixels(split.train), split.train_index.tolist(), strict=True):
            torch.testing.assert_close(x, decode(folder / f"{i:02}.png"), atol=2**-23, rtol=0)
    everything = load_split(config(folder, n_train=25, n_holdout=9))
    assert {row.name for row in everything.skipped} == {f"{i:02}.png" for i in (3, 4, 11, 20, 33, 39)}


def test_a_folder_opens_no_more_files_than_it_takes(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(layouts, "decode", lambda path: opened.append(path) or decode(path))
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


def test_file_and_folder_of_the_same_pictures_agree(tmp_path):
    pixels = noise(30, 9, 7, 3)
    np.save(tmp_path / "a.npy", pixels)
    (tmp_path / "folder").mkdir()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "folder" / f"{i:02}.png")
    options = {"n_train": 10, "n_holdout": 12, "size": 6, "grey": True}
    a = load_split(DataConfig("file", path=str(tmp_path / "a.npy"), **options))
    b = load_split(DataConfig("folder", path=str(tmp_path / "folder"), **options))
    for word in ("train", "holdout", "train_index", "holdout_index"):
        assert torch.equal(getattr(a, word), getattr(b, word))
    assert a.train.shape == (10, 1, 6, 6)


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
    monkeypatch.setattr(datasets, "FASHION_MNIST", "/nowhere/fashion")
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
    "size zero": ({"size": 0}, "size: expected at least 1"),
    "scale zero": ({"scale": 0.0}, "scale: expected a positive number, got 0.0"),
    "scale NaN": ({"scale": float("nan")}, "scale: expected a positive number, got nan"),
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
    "infinite mean": ({"name": "mixture", "mean": float("inf")}, "mean, exponent: expected finite"),
    "too few eigenvalues": ({"name": "gaussian", "eigenvalues": (1.0,)}, "eigenvalues: expected 8 positive"),
    "negative eigenvalue": (
        {"name": "gaussian", "dim": 2, "eigenvalues": (1.0, -1.0)},
        "expected 2 positive",
    ),
    "NaN eigenvalue": ({"name": "gaussian", "dim": 1, "eigenvalues": (float("nan"),)}, "expected 1 positive"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_bad_configurations_are_named(case):
    options, message = BAD_CONFIGS[case]
    with pytest.raises(InputError, match=message):
        DataConfig(**options)


@pytest.mark.parametrize(("word", "value"), [("name", "imagenet"), ("basis", "fourier")])
def test_unknown_words_are_named(word, value):
    """Set from outside, since the annotation check of the tests comes first otherwise."""
    config = DataConfig("mixture")
    object.__setattr__(config, word, value)
    with pytest.raises(InputError, match=f"{word}: expected one of .*, got '{value}'"):
        config.__post_init__()


@pytest.mark.parametrize("name", ["mnist", "cifar10", "celeba", "folder", "file"])
def test_paths_that_are_wrong_are_named(tmp_path, name):
    with pytest.raises(InputError, match=f"path: expected the folder or file that holds {name}, got None"):
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
    with pytest.raises(InputError, match="file: 6 of 6 items are one single colour"):
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
