import io
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

from memhorizon.files import pictures
from memhorizon.files.pictures import Unusable, bits_of, decode, is_coloured
from reference_files import deadline, memory_below


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


SMALL, LARGE = Image.fromarray(noise(16, 16, 3)), Image.fromarray(noise(16, 16, 3, seed=1))
PNG, JPEG = encoded(SMALL, "PNG"), encoded(SMALL, "JPEG")


def _flip(data, position):
    return data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]


def _large(path):
    Image.new("1", (9000, 9000)).save(path)


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _long_text(path):
    """64 MB of a comment in 64 kB, before the pixels."""
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 26)))
    path.write_bytes(PNG[:33] + text + PNG[33:])


def _bomb():
    """A picture of a few hundred bytes that claims 60,000 x 60,000 pixels."""
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(b"0"))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + pixels + _chunk(b"IEND", b"")


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
        "animated",
    ),
    "animated png": (
        lambda p: SMALL.save(p, save_all=True, append_images=[LARGE]),
        "a.png",
        "animated",
    ),
    "tiff of two pages": (
        lambda p: SMALL.save(p, save_all=True, append_images=[LARGE]),
        "a.tif",
        "several pages",
    ),
    "float tiff": (lambda p: Image.fromarray(np.eye(3, dtype=np.float32)).save(p), "a.tif", "known range"),
    "32-bit tiff": (
        lambda p: Image.fromarray(np.full((3, 3), 70000, np.int32)).save(p),
        "a.tif",
        "0 to 65535",
    ),
    "signed tiff": (
        lambda p: Image.fromarray(np.full((3, 3), -7, np.int32)).save(p),
        "a.tif",
        "got -7 to -7",
    ),
    "a tiff of 16 bits where 0 is white": (
        lambda p: Image.fromarray(np.arange(300, 309, dtype=np.uint16).reshape(3, 3)).save(
            p, tiffinfo={262: 0}
        ),
        "a.tif",
        "0 is white",
    ),
    "named pipe": (os.mkfifo, "a.png", "expected a regular file, got a named pipe"),
    "a picture of 81 million pixels": (_large, "a.png", "at most 67,108,864 pixels, got 9,000 x 9,000"),
    "a tiff of one pixel in a vast tile": (
        lambda p: p.write_bytes(_tiff(bytes(9), {256: 1, 257: 1, 258: 8, 322: 16384, 323: 16384})),
        "a.tif",
        "got 16,384 x 16,384",
    ),
    "text that unpacks without end": (_long_text, "a.png", "decoded"),
    "postscript named png": (
        lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        "a.png",
        "cannot identify",
    ),
    "a folder named png": (lambda p: p.mkdir(), "a.png", "decoded"),
    "decompression bomb": (lambda p: p.write_bytes(_bomb()), "a.png", "DecompressionBomb"),
}


def _png_with_key(pixels, depth, color):
    """A PNG of rows of bytes with a transparent colour."""
    height, width = pixels.shape[0], pixels[0].size * 8 // depth // len(color)
    head = struct.pack(">IIBBBBB", width, height, depth, 0 if len(color) == 1 else 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = [
        _chunk(b"IHDR", head),
        _chunk(b"tRNS", struct.pack(f">{len(color)}H", *color)),
        _chunk(b"IDAT", zlib.compress(rows)),
        _chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(("depth", "channels"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3), (16, 3)])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_transparent_colour_is_white_or_the_picture_is_refused(tmp_path, depth, channels, loaded):
    pixels = noise(4, 8 * channels * max(depth, 8) // 8)
    color = (2**depth - 1000 if depth == 16 else 1,) * channels
    pixels[0] = np.frombuffer(
        {1: b"\xff", 2: b"\x55", 4: b"\x11", 8: b"\1", 16: b"\xfc\x18"}[depth], np.uint8
    )[np.arange(pixels.shape[1]) % max(1, depth // 8)]
    path = tmp_path / "a.png"
    path.write_bytes(_png_with_key(pixels, depth, color))
    with Image.open(path) as picture:
        if loaded and depth not in (2, 4):  # of those the depth is forgotten
            picture.load()
        if depth == 8:
            assert torch.equal(decode(picture)[:, 0], torch.ones(channels, 8))
            return
        with pytest.raises(Unusable, match="transparent colour in pixels of other than 8 bits"):
            decode(picture)


def test_many_pages_are_not_walked_through(tmp_path, monkeypatch):
    """The number of pages is not looked for: the tags of the first two are read, not those of 3,000."""
    data = bytearray(_tiff(bytes(9), {256: 3, 257: 3, 258: 8}))
    first = struct.unpack("<I", data[4:8])[0]
    place = first + 2 + 12 * struct.unpack("<H", data[first : first + 2])[0]
    second = data[first:place]
    data[place : place + 4] = struct.pack("<I", len(data))
    for page in range(3000):
        data += second + struct.pack("<I", len(data) + len(second) + 4 if page < 2999 else 0)
    (tmp_path / "a.tif").write_bytes(data)
    read = []
    load = TiffImagePlugin.ImageFileDirectory_v2.load

    def counted(tags, file):
        read.append(file.tell())
        load(tags, file)

    monkeypatch.setattr(TiffImagePlugin.ImageFileDirectory_v2, "load", counted)
    with pytest.raises(Unusable, match="several pages"):
        decode(tmp_path / "a.tif")
    assert 2 <= len(set(read)) < 10
    read.clear()
    with Image.open(tmp_path / "a.tif") as picture:
        assert picture.n_frames == 3001  # walks through all
    assert len(set(read)) == 3001


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1"])
def test_strips_change_nothing(monkeypatch, mode):
    picture = Image.fromarray(noise(23, 9, 4), "RGBA").convert(mode)
    whole = decode(picture)
    monkeypatch.setattr(pictures, "_STRIP", 40)
    assert torch.equal(decode(picture), whole)


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_pictures_say_why(tmp_path, case):
    make, name, reason = UNUSABLE[case]
    make(tmp_path / name)
    # of Python and NumPy; Pillow's pixels do not count, but they would come as NumPy's
    with deadline(), memory_below(2**23), pytest.raises(Unusable, match=reason):
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


def test_a_file_that_states_its_range_is_read_by_it(tmp_path):
    values = noise(4, 6, high=900, dtype=np.uint16)
    # PGM states the largest value; Pillow brings it to 16 bits: half a level of 65,535
    (tmp_path / "a.pgm").write_bytes(b"P5 6 4 4095\n" + values.astype(">u2").tobytes())
    assert bits_of(tmp_path / "a.pgm") == 0
    np.testing.assert_allclose(decode(tmp_path / "a.pgm")[0].numpy(), values / 4095, atol=0.5 / 65535 + 1e-7)
    # TIFF of 12 bits, two pixels in three bytes
    (tmp_path / "b.tif").write_bytes(_tiff_of_12_bits(values))
    assert bits_of(tmp_path / "b.tif") == 0
    assert np.array_equal(decode(tmp_path / "b.tif")[0].numpy(), values / np.float32(4095))
    # TIFF of 16 bits with MaxSampleValue 4095, and one where it is the largest pixel and no range
    for stated, high in ((4095, 4095), (899, 65535)):
        Image.fromarray(values).save(tmp_path / "c.tif", tiffinfo={281: stated})
        assert np.array_equal(decode(tmp_path / "c.tif")[0].numpy(), values / np.float32(high))
        assert bits_of(tmp_path / "c.tif") == (0 if high == 4095 else 16)


def _tiff_of_12_bits(values):
    height, width = values.shape
    packed = bytes.fromhex("".join(f"{int(v):03x}" for v in values.flatten()))
    return _tiff(packed, {256: width, 257: height, 258: 12, 278: height})


def _tiff(pixels, tags):
    """An uncompressed grey TIFF in one strip or tile."""
    where, length = (324, 325) if 322 in tags else (273, 279)
    tags = {**tags, 259: 1, 262: 1, where: 8, 277: 1, length: len(pixels)}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return (
        b"II*\0"
        + struct.pack("<I", 8 + len(pixels))
        + pixels
        + struct.pack("<H", len(tags))
        + rows
        + bytes(4)
    )


def test_depths_of_pictures(tmp_path):
    for depth, pixels in (
        (8, noise(4, 4)),
        (16, noise(4, 4, high=65536, dtype=np.uint16)),
        (8, noise(4, 4, 3)),
    ):
        for kind in ("png", "tif"):
            Image.fromarray(pixels).save(tmp_path / f"a.{kind}")
            assert bits_of(tmp_path / f"a.{kind}") == depth
        assert bits_of(Image.fromarray(pixels)) == depth
    colour = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(bytes(13)))
    (tmp_path / "b.png").write_bytes(PNG[:8] + _chunk(b"IHDR", colour) + pixels + _chunk(b"IEND", b""))
    assert bits_of(tmp_path / "b.png") == 16


def test_the_head_of_a_file_tells_whether_it_is_coloured(tmp_path):
    grey = Image.fromarray(noise(4, 4))
    wide = Image.fromarray(noise(4, 4, high=65536, dtype=np.uint16))
    for picture in (
        grey,
        wide,
        grey.convert("1"),
        grey.convert("LA"),
        grey.convert("P"),
        grey.convert("RGBA"),
    ):
        picture.save(tmp_path / "a.png")
        assert is_coloured(tmp_path / "a.png") == (len(decode(tmp_path / "a.png")) == 3)
    os.mkfifo(tmp_path / "b.png")
    with deadline():
        assert not is_coloured(tmp_path / "b.png")
