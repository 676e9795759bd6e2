import os
import resource
import socket
import tempfile
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from memhorizon.errors import InputError
from memhorizon.files import images as images_module
from memhorizon.files import layouts
from memhorizon.files.formats import decode
from memhorizon.files.images import load_images, prepare
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


@pytest.mark.parametrize(("height", "width", "size"), [(40, 28, 16), (28, 28, 32), (9, 30, 9), (31, 64, 7)])
def test_resize_and_crop_equal_pillow(height, width, size):
    """Pillow resizes pictures of mode F in float32, a road of its own; both sum about 4 * scale products."""
    picture = noise(height, width).astype(np.float32) / 255
    scale = size / min(height, width)
    shape = (int(width * scale + 1e-9), int(height * scale + 1e-9))
    other = np.asarray(Image.fromarray(picture).resize(shape, Image.Resampling.BICUBIC))
    other = other.clip(picture.min(), picture.max())
    top, left = round((shape[1] - size) / 2), round((shape[0] - size) / 2)
    ours = load_images(picture[None, None], size=size).images[0, 0].numpy()
    assert ours.shape == (size, size)
    taps = 2 * (4 * max(1, 1 / scale) + 1)
    tolerance = taps * 2**-23 * 1.5**2  # float32 rounding per product, weights of absolute sum below 1.5
    np.testing.assert_allclose(ours, other[top : top + size, left : left + size], atol=tolerance)


def test_resize_stays_within_the_range_of_each_picture():
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1
    wild = torch.nn.functional.interpolate(step, (12, 12), mode="bicubic", antialias=True)
    assert wild.min() < -0.01  # the test would be empty without overshoot
    ours = prepare(step, size=12)
    assert (float(ours.min()), float(ours.max())) == (0, 1)


def test_grey_equals_pillow_to_its_rounding():
    pixels = noise(3, 9, 9, 3)
    ours = load_images(pixels, grey=True).images[:, 0].numpy()
    pillow = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pixels]) / 255
    np.testing.assert_allclose(ours, pillow, atol=0.5 / 255 + 1e-4)  # half a level, 16-bit weights
    assert load_images(pixels[..., :1], grey=True).images.shape == (3, 1, 9, 9)


def test_chunks_change_nothing(monkeypatch):
    pixels = torch.from_numpy(noise(50, 3, 12, 9)).float()
    whole = prepare(pixels, size=7, grey=True)
    for chunk in (1, 7, 49):
        monkeypatch.setattr("memhorizon.files.images.CHUNK", chunk)
        assert torch.equal(prepare(pixels, size=7, grey=True), whole)


def test_grey_and_coloured_pictures_mix(tmp_path):
    grey, colour = noise(6, 6), noise(6, 6, 3)
    for order in ([grey, colour, grey], [colour, grey]):
        found = load_images([Image.fromarray(p) for p in order]).images
        expected = [np.broadcast_to(np.atleast_3d(p), (6, 6, 3)).transpose(2, 0, 1) for p in order]
        assert np.array_equal(found.numpy(), np.stack(expected) / np.float32(255))


def test_folders_that_link_in_a_circle_are_read_once(tmp_path):
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    (tmp_path / "elsewhere").mkdir()
    Image.fromarray(noise(4, 4, seed=1)).save(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path)
    assert load_images(tmp_path).names == ("a.png", "elsewhere/b.png")


def test_a_folder_holds_one_picture_at_a_time_beside_the_result(tmp_path, monkeypatch):
    for i in range(20):
        Image.fromarray(noise(4, 4, seed=i)).save(tmp_path / f"{i:02}.png")
    alive = []

    def watched(path):
        assert sum(ref() is not None for ref in alive) <= 1
        picture = decode(path)
        alive.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(layouts, "decode", watched)
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
    "NaN": (NAN, {}, r"1 of 6 items hold NaN or infinity, the first is number 3"),
    "infinity": (INF, {}, r"2 of 6 items hold NaN or infinity, the first is number 2"),
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


def test_missing_members_of_a_list_are_listed(tmp_path):
    _save(tmp_path, (4, 4))
    found = load_images([tmp_path / "0.png", tmp_path / "gone.png"])
    assert len(found) == 1
    assert found.skipped[0].name.endswith("gone.png")
    assert "No such file" in found.skipped[0].reason


def test_linked_pictures_and_hidden_folders_are_no_further_pictures(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for place in (root / ".thumbnails", root / "sub", elsewhere):
        place.mkdir(parents=True)
    for i, path in enumerate((root / "sub/a.png", root / ".thumbnails/a.png", elsewhere / "b.png")):
        Image.fromarray(noise(4, 4, seed=i)).save(path)
    (root / "0.png").symlink_to(root / "sub/a.png")  # listed already
    (root / "b.png").symlink_to(elsewhere / "b.png")
    (root / "c.png").symlink_to(elsewhere / "b.png")  # a second link to the same
    (root / "d").symlink_to(root / "sub")
    found = load_images(root)
    assert found.names == ("b.png", "sub/a.png")
    assert {row.name: row.reason for row in found.skipped} == {
        "0.png": "a link to sub/a.png",
        "c.png": "a link to b.png",
        "d": "a link to a folder that is read already",
        ".thumbnails": "a hidden folder",
    }


def test_a_link_that_leads_nowhere_is_listed(tmp_path):
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "class").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    rows = {row.name: row.reason for row in load_images(tmp_path).skipped}
    assert set(rows) == {"b.png", "class", "loop"}
    assert all(reason.startswith("a link that leads nowhere (") for reason in rows.values())


def test_a_folder_that_cannot_be_read_is_listed():
    """As another user, since root may read all."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        Image.fromarray(noise(4, 4)).save(f"{root}/a.png")
        os.mkdir(f"{root}/class", mode=0)
        is_root = os.geteuid() == 0
        try:
            if is_root:
                os.seteuid(65534)
            found = load_images(root)
        finally:
            if is_root:
                os.seteuid(0)
        assert found.names == ("a.png",)
        assert [(row.name, row.reason) for row in found.skipped] == [
            ("class", "folder cannot be read (Permission denied)")
        ]


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


def test_a_folder_of_as_many_suffixes_as_files_is_told_shortly(tmp_path):
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    for i in range(50):
        (tmp_path / f"x.{i:03}").write_text("x")
    for i in range(7):
        (tmp_path / f"{i}.TXT").write_text("x")
    (tmp_path / "README").write_text("x")
    found = load_images(tmp_path)
    assert found.suffixes[".txt"] == 7
    assert len(found.suffixes) == 21
    assert sum(found.suffixes.values()) == found.ignored == 58


def test_floats_stay_as_they_came_and_their_range_is_told():
    for values in (X / np.float32(255), X.astype(np.float32), X / np.float32(127.5) - 1):
        found = load_images(values)
        assert np.array_equal(found.images[:, 0].numpy(), values)
        assert f"values {values.min():.4g} to {values.max():.4g};" in repr(found)


@pytest.mark.parametrize("shape", [(3, 100), (100, 3), (7, 64), (40, 500), (64, 300)])
@pytest.mark.parametrize("size", [5, 16, 64])
def test_strips_are_resized_in_their_middle_alone(shape, size, monkeypatch):
    """The same as all of it resized, then cropped, to the rounding of PyTorch's float32.

    Of the products as in the test against Pillow; and of positions, which it holds in float32 as well: three
    roundings of numbers up to the long side, times the slopes of the kernel, whose absolute sum is below 3.
    """
    picture = torch.from_numpy(noise(2, 3, *shape)) / 255
    ours = prepare(picture, size=size)
    monkeypatch.setattr("memhorizon.files.images._resize_centre", images_module._resize_all)
    products = 2 * (4 * max(1, min(shape) / size) + 1) * 2**-23 * 1.5**2
    positions = 3 * max(shape) * 2**-24 * 3
    torch.testing.assert_close(ours, prepare(picture, size=size), atol=products + positions, rtol=0)


def test_a_long_strip_takes_little_memory(tmp_path):
    Image.fromarray(np.tile(np.arange(250, dtype=np.uint8), (2, 80))).save(tmp_path / "rule.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert load_images(tmp_path, size=64).images.shape == (1, 1, 64, 64)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB; all of it takes 300,000


def test_dark_and_plain_float_pictures_are_in_the_range_of_the_others():
    pictures = [X[0] / 255, X[1] / 2550, 3.0 * X[2] / 255, X[3] / 127.5 - 1]
    assert len(load_images(pictures)) == 4
    black = np.zeros((5, 5))  # passed over, and in any range
    assert len(load_images([black, X[0].astype(np.float32), X[1] * 1.0])) == 2


@pytest.mark.parametrize(
    ("word", "value"), [("size", 4.0), ("size", "4"), ("size", True), ("channels", "middle"), ("grey", "no")]
)
def test_other_options_are_named(word, value):
    with pytest.raises(InputError, match=f"{word}: expected .* got '?{value}"):
        getattr(load_images, "__wrapped__", load_images)(
            X, **{word: value}
        )  # the tests check annotations first
