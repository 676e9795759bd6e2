import contextlib
import io

import numpy as np
import pytest
import torch
from PIL import Image

from memhorizon.arrays import load_array
from memhorizon.formats import Unusable, as_tensor, decode
from memhorizon.results import InputError


def noise(*shape, seed=0, high=256, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm", "gif"])
def test_lossless_pictures_come_back_exactly(tmp_path, kind):
    grey = noise(5, 7)
    Image.fromarray(grey).save(tmp_path / f"a.{kind}")
    assert torch.equal(decode(tmp_path / f"a.{kind}").mul(255).round().byte()[0], torch.from_numpy(grey))
    if kind != "gif":  # a palette has 256 colours
        colour = noise(5, 7, 3)
        Image.fromarray(colour).save(tmp_path / f"b.{kind}")
        assert np.array_equal(
            decode(tmp_path / f"b.{kind}").permute(1, 2, 0).numpy(), colour / np.float32(255)
        )


@pytest.mark.parametrize("kind", ["png", "tiff", "ppm"])
def test_16_bit_pictures_keep_their_16_bits(tmp_path, kind):
    values = noise(4, 6, high=65536, dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{kind}")
    assert np.array_equal(decode(tmp_path / f"a.{kind}")[0].numpy(), values / np.float32(65535))


def test_palettes_and_bilevel_pictures_are_decoded():
    colour = Image.fromarray(noise(6, 6, 3, high=2) * 255)  # 8 colours fit a palette exactly
    palette = colour.convert("P", palette=Image.Palette.ADAPTIVE)
    assert palette.mode == "P"
    assert torch.equal(decode(palette), decode(colour))
    bits = noise(6, 6, high=2).astype(bool)
    assert np.array_equal(decode(Image.fromarray(bits))[0].numpy(), bits.astype(np.float32))


def test_transparent_pictures_lie_on_white():
    colour, alpha = noise(5, 5, 3), noise(5, 5, seed=1)
    alpha[0], alpha[1] = 0, 255
    pixels = decode(Image.fromarray(np.dstack([colour, alpha]))).permute(1, 2, 0).numpy()
    a = alpha[..., None] / 255
    # Pillow rounds the composite to 8 bits: half a level, and as much for its integer arithmetic
    np.testing.assert_allclose(pixels, colour / 255 * a + (1 - a), atol=1 / 255)
    assert (pixels[0] == 1).all()
    assert np.array_equal(pixels[1], colour[1] / np.float32(255))
    grey = decode(Image.fromarray(np.dstack([colour[..., 0], alpha]), "LA"))
    assert grey.shape == (1, 5, 5)
    np.testing.assert_allclose(grey[0].numpy(), (colour[..., :1] / 255 * a + (1 - a))[..., 0], atol=1 / 255)


def test_a_transparent_palette_colour_is_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    raw = encoded(palette, "PNG", transparency=0)
    assert decode(Image.open(io.BytesIO(raw)))[:, 0].T.tolist() == [[1, 1, 1], [0, 0, 1]]


UNUSABLE = {
    "missing file": (lambda p: None, "a.png", "No such file"),
    "empty file": (lambda p: p.write_bytes(b""), "a.png", "cannot identify"),
    "text named png": (lambda p: p.write_text("hello"), "a.png", "cannot identify"),
    "truncated png": (lambda p: p.write_bytes(PNG[: len(PNG) // 2]), "a.png", "truncated"),
    "truncated jpeg": (lambda p: p.write_bytes(JPEG[: len(JPEG) // 2]), "a.jpg", "[Tt]runcated"),
    "png header only": (lambda p: p.write_bytes(PNG[:20]), "a.png", "decoded"),
    "png with a broken checksum": (lambda p: p.write_bytes(_flip(PNG, 30)), "a.png", "decoded"),
    "truncated bmp": (lambda p: p.write_bytes(encoded(SMALL, "BMP")[:-9]), "a.bmp", "truncated"),
    "truncated webp": (lambda p: p.write_bytes(encoded(SMALL, "WEBP")[:-60]), "a.webp", "decoded"),
    "animated gif": (
        lambda p: SMALL.save(p, save_all=True, append_images=[LARGE]),
        "a.gif",
        "animated.*2 frames",
    ),
    "animated png": (
        lambda p: SMALL.save(p, save_all=True, append_images=[LARGE]),
        "a.png",
        "animated.*2 frames",
    ),
    "tiff of two pages": (lambda p: SMALL.save(p, save_all=True, append_images=[LARGE]), "a.tif", "2 frames"),
    "float tiff": (lambda p: Image.fromarray(np.eye(3, dtype=np.float32)).save(p), "a.tif", "known range"),
    "32-bit tiff": (lambda p: Image.fromarray(np.full((3, 3), 70000, np.int32)).save(p), "a.tif", "16 bits"),
    "postscript named png": (
        lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        "a.png",
        "cannot identify",
    ),
    "a folder named png": (lambda p: p.mkdir(), "a.png", "decoded"),
    "decompression bomb": (lambda p: p.write_bytes(_bomb()), "a.png", "DecompressionBomb"),
}
SMALL, LARGE = Image.fromarray(noise(16, 16, 3)), Image.fromarray(noise(16, 16, 3, seed=1))
PNG, JPEG = encoded(SMALL, "PNG"), encoded(SMALL, "JPEG")


def _flip(data, position):
    return data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]


def _bomb():
    """A picture of a few hundred bytes that claims 60,000 x 60,000 pixels."""
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_pictures_say_why(tmp_path, case):
    make, name, reason = UNUSABLE[case]
    make(tmp_path / name)
    with pytest.raises(Unusable, match=reason):
        decode(tmp_path / name)


def test_a_float_picture_in_memory_is_unusable():
    with pytest.raises(Unusable, match="known range"):
        decode(Image.fromarray(np.eye(3, dtype=np.float32)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_damaged_files_never_raise_anything_else(tmp_path, kind):
    rng, good = np.random.default_rng(0), encoded(SMALL, kind)
    for trial in range(60):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 1 + trial % 4):
            data[place] = rng.integers(256)
        (tmp_path / "a").write_bytes(data[: rng.integers(len(data))] if trial % 3 == 0 else data)
        try:
            picture = decode(tmp_path / "a")
        except Unusable:
            continue
        assert 0 <= picture.min() <= picture.max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_a_truncated_picture_is_never_taken_for_whole(tmp_path, kind):
    """Cut anywhere it cannot be decoded, or nothing of the picture is missing."""
    data, path = encoded(SMALL, kind), tmp_path / "a"
    path.write_bytes(data)
    whole = decode(path)
    for length in range(len(data) - 1, 0, -len(data) // 25):
        path.write_bytes(data[:length])
        try:
            picture = decode(path)
        except Unusable:
            continue
        assert torch.equal(picture, whole)


def test_array_types_and_layouts():
    last = noise(4, 5, 6, 3)
    assert np.array_equal(as_tensor(last, "x").numpy(), last.transpose(0, 3, 1, 2) / np.float32(255))
    first = noise(4, 3, 5, 6)
    assert np.array_equal(as_tensor(torch.from_numpy(first), "x").numpy(), first / np.float32(255))
    both = noise(4, 3, 5, 3)  # three in second and in last place: channels first
    assert as_tensor(both, "x").shape == (4, 3, 5, 3)
    assert as_tensor(noise(4, 5, 6), "x").shape == (4, 1, 5, 6)
    assert as_tensor(noise(4, 5) / 3, "x").shape == (4, 5)
    wide = noise(4, 5, high=65536, dtype=np.uint16)
    assert np.array_equal(as_tensor(wide, "x").numpy(), wide / np.float32(65535))
    assert as_tensor(wide > 30000, "x").unique().tolist() == [0, 1]


@pytest.mark.parametrize("dtype", [">f4", "<f8", "f2", ">u2"])
def test_byte_orders_strides_and_read_only_arrays(dtype):
    values = noise(4, 6).astype(dtype)[:, ::-2]
    values.setflags(write=False)
    expected = values.astype(np.float32) / (65535 if "u" in dtype else 1)
    np.testing.assert_array_equal(as_tensor(values, "x").numpy(), expected.astype(np.float32))


def test_float32_tensors_are_not_copied_and_others_keep_their_source():
    x = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    assert as_tensor(x, "x").data_ptr() == x.data_ptr()
    pixels = torch.arange(12, dtype=torch.uint8).reshape(3, 4)
    as_tensor(pixels, "x")
    assert pixels.flatten().tolist() == list(range(12))


WRONG_ARRAYS = {
    "int64": (np.zeros((2, 3), int), "uint8.*got int64"),
    "torch int32": (torch.zeros(2, 3, dtype=torch.int32), "uint8.*got int32"),
    "complex": (np.zeros((2, 3), complex), "got complex128"),
    "torch complex": (torch.zeros(2, 3, dtype=torch.complex64), "got complex64"),
    "objects": (np.array([[None]]), "got object"),
    "strings": (np.array([["a"]]), "got <U1"),
    "one axis": (np.zeros(3), r"\[n, \*item\], got shape \(3,\)"),
    "a number": (np.array(1.0), r"got shape \(\)"),
    "no items": (np.zeros((0, 3)), r"at least one item.*\(0, 3\)"),
    "empty items": (np.zeros((3, 0)), r"\(3, 0\)"),
}


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_wrong_arrays_are_named(case):
    array, message = WRONG_ARRAYS[case]
    with pytest.raises(InputError, match=f"^mine: .*{message}"):
        as_tensor(array, "mine")


def _npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


X = noise(6, 4, 4)
HUGE = _npy(X).replace(b"(6, 4, 4)", b"(6, 9**9)")  # not a literal tuple
BAD_FILES = {
    "missing": ("a.npy", None, "no such file"),
    "other suffix": ("a.csv", b"1,2", "expected a folder, a .npy"),
    "torch pickle": ("a.pt", b"PK", "never opened"),
    "pickle": ("a.pkl", b"\x80", "never opened"),
    "one picture": ("a.png", b"", "a list with its path"),
    "empty npy": ("a.npy", b"", "damaged"),
    "empty npz": ("a.npz", b"", "damaged"),
    "empty safetensors": ("a.safetensors", b"", "damaged"),
    "text as npy": ("a.npy", b"hello", "damaged"),
    "text as npz": ("a.npz", b"hello", "damaged"),
    "text as safetensors": ("a.safetensors", b"hello, world", "damaged"),
    "truncated npy": ("a.npy", _npy(X)[:-5], "damaged"),
    "truncated npz": ("a.npz", _npz(a=X)[:-40], "damaged"),
    "npz with a flipped byte": ("a.npz", _flip(_npz(a=X), 200), "damaged"),
    "truncated safetensors": ("a.safetensors", None, "damaged"),
    "pickled npy": ("a.npy", _npy(np.array([{}]), allow_pickle=True), "damaged.*pickle"),
    "pickled npz": ("a.npz", _npz(a=np.array([{}])), "damaged.*pickle"),
    "npy header is no literal": ("a.npy", HUGE, "damaged"),
    "npz without arrays": ("a.npz", _npz(), "got none"),
    "npz with two unknown arrays": ("a.npz", _npz(a=X, b=X), "got a, b"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_array_files_are_named(tmp_path, case):
    from safetensors.numpy import save

    name, content, message = BAD_FILES[case]
    content = save({"a": X})[:-5] if case == "truncated safetensors" else content
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        load_array(tmp_path / name)


@pytest.mark.parametrize("kind", ["npy", "npz", "safetensors"])
def test_damaged_array_files_never_raise_anything_else(tmp_path, kind):
    from safetensors.numpy import save

    good = {"npy": _npy(X), "npz": _npz(a=X), "safetensors": save({"a": X})}[kind]
    path, rng = tmp_path / f"a.{kind}", np.random.default_rng(0)
    for trial in range(150):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 1 + trial % 4):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data))] if trial % 3 == 0 else data)
        with contextlib.suppress(InputError):  # nothing else may come
            load_array(path)


def test_array_files_hold_what_was_saved(tmp_path):
    from safetensors.numpy import save_file

    np.save(tmp_path / "a.npy", X)
    np.savez_compressed(tmp_path / "a.npz", X)
    np.savez(tmp_path / "b.npz", labels=X[:, 0, 0], images=X)
    save_file({"anything": X}, tmp_path / "a.safetensors")
    for name in ("a.npy", "a.npz", "b.npz", "a.safetensors"):
        assert np.array_equal(np.asarray(load_array(tmp_path / name)), X)
