import os
import socket
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from memhorizon.errors import InputError
from memhorizon.files import folders
from memhorizon.files.images import load_images
from memhorizon.files.pictures import decode
from reference_files import deadline


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Five grey pictures in two levels, two files that cannot be used, three that are no pictures."""
    root = tmp_path / "pictures"
    (root / "sub").mkdir(parents=True)
    pixels = noise(5, 6, 8)
    for name, picture in zip(("b.png", "a.png", "sub/c.PNG", "sub/a.bmp", "z.tif"), pixels, strict=True):
        Image.fromarray(picture).save(root / name)
    (root / "broken.png").write_bytes((root / "a.png").read_bytes()[:60])
    Image.new("L", (8, 6), 7).save(root / "grey.png")
    for name in ("notes.txt", ".hidden.png", "sub/labels.csv"):
        (root / name).write_text("x")
    return root, pixels


def test_a_folder_is_read_in_the_order_of_names_and_nothing_is_silent(folder):
    root, pixels = folder
    found = load_images(root)
    assert found.names == ("a.png", "b.png", "sub/a.bmp", "sub/c.PNG", "z.tif")
    assert np.array_equal(found.images[:, 0].numpy(), pixels[[1, 0, 3, 2, 4]] / np.float32(255))
    assert found.images.dtype == torch.float32
    assert [row.name for row in found.skipped] == ["broken.png", "grey.png"]
    assert "decoded" in found.skipped[0].reason
    assert "constant picture" in found.skipped[1].reason
    assert found.ignored == 3
    assert found.suffixes == {".txt": 1, ".csv": 1, "(hidden)": 1}
    assert repr(found).startswith("ImageSet(5 items of 1 x 6 x 8, values 0")
    assert "2 skipped, 3 other files" in repr(found)
    assert len(found) + len(found.skipped) + found.ignored == sum(p.is_file() for p in root.rglob("*"))


def test_every_kind_of_source_gives_the_same(tmp_path):
    pixels = noise(4, 6, 8, 3)
    for i, picture in enumerate(pixels):
        (tmp_path / "folder").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "folder" / f"{i}.png")
    np.save(tmp_path / "a.npy", pixels)
    np.savez(tmp_path / "a.npz", pixels)
    save_file({"images": pixels}, tmp_path / "a.safetensors")
    paths = sorted((tmp_path / "folder").iterdir())
    sources = [pixels, torch.from_numpy(pixels), torch.from_numpy(pixels).permute(0, 3, 1, 2)]
    sources += [tmp_path / "folder", str(tmp_path / "folder")]
    sources += [tmp_path / "a.npy", tmp_path / "a.npz", str(tmp_path / "a.safetensors")]
    sources += [list(pixels), tuple(torch.from_numpy(pixels)), [Image.fromarray(p) for p in pixels]]
    sources += [paths, [str(paths[0]), Image.fromarray(pixels[1]), pixels[2], torch.from_numpy(pixels[3])]]
    for options in ({}, {"size": 5}, {"size": 5, "grey": True}):
        expected = load_images(pixels, **options)
        assert len(expected) == 4
        for source in sources:
            assert torch.equal(load_images(source, **options).images, expected.images), source


def test_grey_and_coloured_pictures_mix(tmp_path):
    grey, colour = noise(6, 6), noise(6, 6, 3)
    for order in ([grey, colour, grey], [colour, grey]):
        found = load_images([Image.fromarray(p) for p in order]).images
        expected = [np.broadcast_to(np.atleast_3d(p), (6, 6, 3)).transpose(2, 0, 1) for p in order]
        assert np.array_equal(found.numpy(), np.stack(expected) / np.float32(255))


def test_a_folder_holds_one_picture_at_a_time_beside_the_result(tmp_path, monkeypatch):
    for i in range(20):
        Image.fromarray(noise(4, 4, seed=i)).save(tmp_path / f"{i:02}.png")
    alive = []

    def watched(path):
        assert sum(ref() is not None for ref in alive) <= 1
        picture = decode(path)
        alive.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(folders, "decode", watched)
    assert len(load_images(tmp_path)) == len(alive) == 20


def test_one_picture_and_vectors_are_fine():
    assert load_images(noise(1, 4, 4)).images.shape == (1, 1, 4, 4)
    vectors = torch.ones(3, 5)  # constant, and no pictures
    assert load_images(vectors).images.data_ptr() == vectors.data_ptr()
    assert load_images(vectors).names == ("0", "1", "2")


X = noise(6, 5, 5)
NAN, INF, FLAT = X / 255, X / 255, X.copy()
NAN[3, 2, 2], INF[[2, 4], 0, 0], FLAT[1] = np.nan, np.inf, 9
BAD = {
    "nothing": (None, {}, "got NoneType"),
    "a number": (3, {}, "got int"),
    "bytes": (b"abc", {}, "got bytes"),
    "a generator": ((x for x in X), {}, "got generator"),
    "a dictionary": ({"images": X}, {}, "got dict"),
    "empty list": ([], {}, "empty sequence"),
    "zero images": (X[:0], {}, "at least one item"),
    "no such folder": ("no/such/folder", {}, "no such file or folder"),
    "NaN": (NAN, {}, r"1 of 6 items hold NaN or infinity, .* the first is number 3"),
    "infinity": (INF, {}, r"2 of 6 items hold NaN or infinity, .* the first is number 2"),
    "too large for float32": (X * 1e300 + 1e300, {}, "6 of 6 items hold NaN or infinity"),
    "constant picture": (FLAT, {}, r"1 of 6 items are one single colour, the first is number 1"),
    "NaN in a list": ([X[0], NAN[3]], {}, "1 of 2 items hold NaN.*number 1"),
    "a list of lists": ([[1, 2]], {}, r"images\[0\]: expected a path, .*got list"),
    "pairs of picture and label": ([(X[0], 3)], {}, r"images\[0\]: .*got tuple"),
    "a list of integer arrays": ([X[0].astype(int)], {}, r"images\[0\]: .*got int64"),
    "one of two ranges": ([X[0], X[1].astype(np.float32)], {}, "one range of values, number 0 .* number 1"),
    "floats of -1 to 1 and integers": (
        [X[0] / 127.5 - 1, X[1]],
        {},
        "one range of values, number 1 .*number 0",
    ),
    "a list of batches": ([noise(2, 1, 5, 5)] * 2, {}, r"images\[0\]: expected \[n, dim\] or \[n, c, h, w\]"),
    "batches": (noise(3, 2, 1, 5, 5), {}, r"images: expected \[n, dim\] or \[n, c, h, w\]"),
    "no numbers": (torch.zeros(3, 1, 5, 5, device="meta"), {}, "dense tensor, got torch.strided on meta"),
    "one Pillow image": (Image.fromarray(X[0]), {}, "or a list of pictures, got Image"),
    "an empty path": ("", {}, "expected a folder, a .npy"),
    "a path of nothing": ("a\0b", {}, "no such file or folder"),
    "a name too long": ("a" * 300, {}, "no such file or folder"),
    "a list of constant pictures": ([FLAT[1], FLAT[1]], {}, "none of 2 can be used; the first, 0: constant"),
    "mixed sizes": ([X[0], X[1][:4]], {}, "size: .*0 is 1 x 5 x 5, 1 is 1 x 4 x 5"),
    "mixed vectors": ([X[0, 0], X[1, 0, :4]], {}, "0 is 5, 1 is 4"),
    "two ranges of floats": (
        [X[0] / 255, X[1].astype(np.float32)],
        {},
        "number 0 has floats within -1 to 1, number 1 reaches 16",
    ),
    "two ranges of floats, -1 to 1": (
        [X[1].astype(np.float64), X[2] * 2.0, X[0] / 127.5 - 1],
        {},
        "number 2 has floats within -1 to 1, number 0 reaches 16",
    ),
    "size zero": (X, {"size": 0}, "size: expected a whole number of at least 1"),
    "size of a terabyte": (X, {"size": 2**40}, "size: .* at most 8192, got 1099511627776"),
    "many of a large size": (noise(80, 5, 5), {"size": 8192}, "size: expected at most 17,179,869,184 bytes"),
    "size of vectors": (X[:, 0], {"size": 3}, "size, grey: expected pictures"),
    "grey vectors": (X[:, 0], {"grey": True}, "size, grey: expected pictures"),
    "grey of four channels": (noise(2, 4, 5, 5), {"grey": True}, "1 or 3 channels, got 4"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_sources_are_named(case):
    source, options, message = BAD[case]
    with pytest.raises(InputError, match=message):
        load_images(source, **options)


def _save(path, *shapes):
    for i, shape in enumerate(shapes):
        Image.fromarray(noise(*shape, seed=i)).save(path / f"{i}.png")


BAD_FOLDERS = {
    "empty": (lambda p: None, r"found none \(0 other files\)"),
    "no pictures": (lambda p: (p / "a.txt").write_text("a"), r"found none \(1 other files\)"),
    "only broken ones": (
        lambda p: (p / "a.png").write_bytes(b"a"),
        "none of 1 can be used; the first, a.png: cannot",
    ),
    "mixed sizes": (lambda p: _save(p, (4, 4), (4, 5)), "size: .*0.png is 1 x 4 x 4, 1.png is 1 x 4 x 5"),
    "mixed sizes and colours": (
        lambda p: _save(p, (4, 4), (5, 4, 3)),
        "0.png is 1 x 4 x 4, 1.png is 3 x 5 x 4",
    ),
    "only formats that are not read": (lambda p: (p / "a.heic").write_bytes(b"ftypheic"), "a.heic: cannot"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folders_are_named(tmp_path, case):
    make, message = BAD_FOLDERS[case]
    make(tmp_path)
    with pytest.raises(InputError, match=message):
        load_images(tmp_path)


def test_mixed_sizes_are_fine_with_a_size(tmp_path):
    _save(tmp_path, (4, 4), (9, 5, 3), (6, 12))
    assert load_images(tmp_path, size=4).images.shape == (3, 3, 4, 4)
    assert load_images(tmp_path, size=4, grey=True).images.shape == (3, 1, 4, 4)


def test_what_is_no_file_is_never_waited_for(tmp_path):
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "c.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server, deadline():
        place = os.open(tmp_path, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{place}/d.png")
        os.close(place)
        found = load_images(tmp_path)
        assert {row.name: row.reason for row in found.skipped} == {
            "b.png": "a named pipe",
            "c.png": "a device",
            "d.png": "a socket",
        }
        found = load_images([tmp_path / name for name in ("a.png", "b.png", "c.png", "d.png")])
        assert len(found) == 1
        assert all("expected a regular file" in row.reason for row in found.skipped)


def test_names_of_strangers_are_printed_harmlessly(tmp_path):
    names = ("a\x1b[2J.png", "b\u202e.png", "c\nd.png", os.fsdecode(b"e\xff.png"))
    for name in names:
        (tmp_path / name).write_bytes(b"broken")
    (tmp_path / "x.\x1b[2J").write_bytes(b"")
    Image.fromarray(noise(4, 4)).save(tmp_path / "z\x9b.png")
    found = load_images(tmp_path)
    assert found.names == ("z\x9b.png",)  # as it is on the disk
    assert len(found.skipped) == 4
    assert all((row.name + row.reason).isprintable() for row in found.skipped)
    assert all(suffix.isprintable() for suffix in found.suffixes)
    (tmp_path / "z\x9b.png").unlink()
    with pytest.raises(InputError) as caught:
        load_images(tmp_path)
    assert str(caught.value).isprintable()


def test_floats_stay_as_they_came_and_their_range_is_told():
    for values in (X / np.float32(255), X.astype(np.float32), X / np.float32(127.5) - 1):
        found = load_images(values)
        assert np.array_equal(found.images[:, 0].numpy(), values)
        assert f"values {values.min():.4g} to {values.max():.4g};" in repr(found)


@pytest.mark.parametrize(
    ("word", "value"), [("size", 4.0), ("size", "4"), ("size", True), ("channels", "middle"), ("grey", "no")]
)
def test_other_options_are_named(word, value):
    with pytest.raises(InputError, match=f"{word}: expected .* got '?{value}"):
        getattr(load_images, "__wrapped__", load_images)(
            X, **{word: value}
        )  # the tests check annotations first
