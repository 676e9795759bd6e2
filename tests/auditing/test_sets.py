"""The items of an audit: what is the same comes out the same, what cannot be compared is refused by name."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

import memhorizon as mh
from memhorizon.auditing.sets import check_enough, read_sets
from memhorizon.auditing.statistics import smallest_reportable
from memhorizon.errors import InputError


def noise(n, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(np.uint8)


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def pictures(folder, pixels, name="{:03d}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / name.format(i))
    return folder


def test_every_kind_of_source_is_the_same_set(tmp_path):
    pixels = noise(6, 8, 9)
    whole = pixels[:, None] / np.float32(255)
    np.save(tmp_path / "a.npy", pixels)
    np.savez(tmp_path / "a.npz", samples=pixels, others=pixels[:1])
    save_file({"images": pixels}, tmp_path / "a.safetensors")
    folder = pictures(tmp_path / "folder", pixels)
    sources = [pixels, torch.from_numpy(pixels), torch.from_numpy(whole), whole.astype(np.float64), folder]
    sources += [str(folder), mh.load_images(folder), [Image.fromarray(picture) for picture in pixels]]
    sources += [tmp_path / "a.npy", tmp_path / "a.npz", tmp_path / "a.safetensors"]
    sources += [f"{tmp_path / 'a.npz'}::samples", sorted(folder.iterdir())]
    train = noise(5, 8, 9, seed=1)
    for source in sources:
        sets = read_sets(source, train)
        assert torch.equal(sets.samples.images, torch.from_numpy(whole)), source
        path = str(source) if isinstance(source, str | os.PathLike) else "array"
        assert sets.sources == {"samples": path, "train": "array"}
        assert sets.remarks == ()
        assert list(sets.given) == ["samples", "train"]


def test_bytes_beside_floats_are_of_one_unit(tmp_path):
    folder = pictures(tmp_path / "train", noise(20, 8, 8))
    floats = noise(20, 8, 8, seed=1)[:, None] / np.float32(255)
    sets = read_sets(floats, folder, noise(20, 8, 8, seed=2))
    assert all(0 <= one.images.min() <= one.images.max() <= 1 for one in sets.given.values())


@pytest.mark.parametrize(("scale", "shift"), [(2, -1), (255, 0), (65535, 0)])
def test_other_units_are_refused_unless_they_are_vouched_for(scale, shift):
    train = uniform(40, 1, 8, 8)
    other = scale * uniform(40, 1, 8, 8, seed=1) + shift
    for sets in ((other, train), (train, other), (train, train.flip(0), other)):
        with pytest.raises(InputError, match=r"^\w+, train: expected values of one unit, got"):
            read_sets(*sets)
        read_sets(*sets, same_units=True)


def test_single_bad_items_of_an_array_are_listed(tmp_path):
    items = uniform(10, 1, 8, 8)
    items[2, 0, 3, 3] = float("nan")
    items[5] = 0.5
    items[7, 0, 0, 0] = float("inf")
    np.save(tmp_path / "a.npy", items.numpy())
    for source in (items, items.numpy(), tmp_path / "a.npy", list(items)):
        found = read_sets(source, uniform(20, 1, 8, 8)).samples
        assert found.names == ("0", "1", "3", "4", "6", "8", "9")
        assert torch.equal(found.images, items[[0, 1, 3, 4, 6, 8, 9]])
        reasons = {row.name: row.reason for row in found.skipped}
        assert sorted(reasons) == ["2", "5", "7"]
        assert "NaN" in reasons["2"]
        assert "constant" in reasons["5"]
        assert "infinity" in reasons["7"]


def test_nothing_left_is_an_error_that_says_why():
    train = uniform(20, 1, 8, 8)
    for bad, reason in ((torch.full((3, 1, 8, 8), 0.5), "constant"), (torch.full((3, 4), torch.nan), "NaN")):
        with pytest.raises(InputError, match=rf"^samples: images: .*none of 3 can be used.*{reason}"):
            read_sets(bad, train)


def test_vectors_that_are_constant_are_items():
    vectors = uniform(5, 4)
    vectors[2] = 0.5
    assert len(read_sets(vectors, uniform(7, 4)).samples) == 5


def test_grey_beside_colour_gets_three_equal_channels():
    grey = noise(5, 8, 8)
    colour = noise(6, 8, 8, 3, seed=1)
    sets = read_sets(grey, colour, noise(5, 8, 8, seed=2))
    assert {name: one.images.shape for name, one in sets.given.items()} == {
        "samples": (5, 3, 8, 8),
        "train": (6, 3, 8, 8),
        "holdout": (5, 3, 8, 8),
    }
    assert torch.equal(sets.samples.images[:, 0], sets.samples.images[:, 2])
    one_channel = read_sets(grey, colour, grey=True)
    assert one_channel.train.images.shape == (6, 1, 8, 8)


def test_sizes_are_named_and_a_size_brings_them_together(tmp_path):
    train = pictures(tmp_path / "train", noise(5, 16, 12))
    with pytest.raises(InputError, match=r"samples of 1 x 8 x 8, train of 1 x 16 x 12; size=N \(--size N\)"):
        read_sets(noise(5, 8, 8), train)
    mixed = pictures(tmp_path / "mixed", noise(2, 8, 8))
    pictures(mixed, noise(2, 9, 9), "larger{}.png")
    with pytest.raises(InputError, match=r"^samples: size: .*--size N.* 1 x 8 x 8.* 1 x 9 x 9"):
        read_sets(mixed, train)
    sets = read_sets(mixed, train, size=8)
    assert {one.images.shape[1:] for one in sets.given.values()} == {(1, 8, 8)}
    with pytest.raises(InputError, match=r"samples of 3, train of 4$"):
        read_sets(uniform(5, 3), uniform(5, 4))
    with pytest.raises(InputError, match="samples of 4, train of 1 x 2 x 2"):
        read_sets(uniform(5, 4), uniform(5, 1, 2, 2))


def test_a_folder_within_another_would_be_read_twice(tmp_path, monkeypatch):
    train = pictures(tmp_path / "data", noise(5, 8, 8))
    inner = pictures(train / "generated", noise(5, 8, 8, seed=1))
    hidden = pictures(train / ".cache" / "samples", noise(5, 8, 8, seed=1))
    link = tmp_path / "link"
    link.symlink_to(inner)
    for samples in (inner, link, f"{inner}/../generated"):
        with pytest.raises(InputError, match=r"^train: expected a folder without the samples in it"):
            read_sets(samples, train)
    with pytest.raises(InputError, match=r"^samples: expected a folder without the train in it"):
        read_sets(train, inner)
    assert len(read_sets(hidden, train).train) == 10  # hidden folders are never read
    beside = pictures(tmp_path / "data2", noise(5, 8, 8, seed=2))  # begins with the name of the other
    assert len(read_sets(beside, train).train) == 10
    monkeypatch.chdir(train)
    with pytest.raises(InputError, match=r"^train: expected a folder without the holdout in it"):
        read_sets(beside, Path(), "generated")


def test_sets_that_are_the_same_are_noticed(tmp_path):
    a, b, c = (noise(9, 8, 8, seed=seed) for seed in range(3))
    folder = pictures(tmp_path / "a", a)
    (remark,) = read_sets(folder, a).remarks
    assert remark.startswith("The samples are the training items themselves")
    (remark,) = read_sets(b, a, b).remarks
    assert remark.startswith("The samples are the held-out items")
    assert read_sets(a, b, c).remarks == ()
    with pytest.raises(InputError, match="^holdout: expected items that were not trained on"):
        read_sets(b, folder, a)


@pytest.mark.parametrize("name", ["samples", "train", "holdout"])
@pytest.mark.parametrize("bad", ["/nowhere", 5, None, b"bytes", {}, [], torch.zeros(3), np.array(["a"])])
def test_what_is_no_set_is_refused_by_its_name(name, bad):
    good = noise(9, 8, 8)
    given = {"samples": good, "train": good[::-1].copy(), "holdout": good[:5]} | {name: bad}
    if name == "holdout" and bad is None:
        read_sets(**given)
        return
    with pytest.raises((InputError), match=f"^{name}: "):
        read_sets(**given)


def test_hostile_names_can_be_printed(tmp_path):
    names = [
        "a\nb.png",
        "\x1b[2J.png",
        "\u202egnp.exe.png",
        "<script>.png",
        b"\xff.png".decode(errors="surrogateescape"),
    ]
    folder = tmp_path / "samples"
    folder.mkdir()
    for name, picture in zip(names, noise(len(names), 8, 8), strict=True):
        Image.fromarray(picture).save(folder / "plain.png")
        os.rename(folder / "plain.png", folder / name)
    found = read_sets(folder, noise(5, 8, 8, seed=1)).samples
    assert len(found) == len(names)
    assert all(name.isprintable() for name in found.names)
    assert len(set(found.names)) == len(names)


@pytest.mark.parametrize("fdr", [0.01, 0.05, 0.1, 1 / 3, 0.5])
def test_enough_is_where_a_copy_can_be_reported(fdr):
    """By the rule itself: with R reference items all of m samples, if all are copies, can be reported."""
    for R in range(1, 130):
        possible = smallest_reportable(1000, 1 / (R + 1), fdr) is not None
        for counts in ((2 * R, 0, 5000), (2 * R + 1, 99, 5000), (10**6, 0, R), (0, R + 100, R)):
            if possible:
                check_enough(*counts, fdr)
            else:
                with pytest.raises(InputError, match="^train: expected at least"):
                    check_enough(*counts, fdr)
