"""Files that no picture can be made of, and files that look bad and are pictures all the same."""

import io
import os
import socket
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

SIDE = 8
ENCODED = {
    "png": {},
    "jpg": {"quality": 95},
    "webp": {"lossless": True},
    "bmp": {},
    "gif": {},
    "tif": {},
    "ppm": {},
}
FORMATS = {"jpg": "JPEG", "tif": "TIFF"}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def encoded(suffix, pixels=None, **more):
    """The bytes of a picture file."""
    pixels = noise(SIDE, SIDE, 3) if pixels is None else pixels
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    picture.save(file, FORMATS.get(suffix, suffix.upper()), **ENCODED.get(suffix, {}) | more)
    return file.getvalue()


def chunk(kind, data):
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *, depth=8, colour=0, data=b"", before=b""):
    """A PNG of a stated size that holds whatever."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def animated(suffix):
    frames = [Image.fromarray(noise(SIDE, SIDE, 3, seed=seed)) for seed in (1, 2)]
    return encoded(suffix, frames[0], save_all=True, append_images=frames[1:])


def bomb_of_gif():
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0)
        + bytes(6)
        + (b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\x00;")
    )


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", encoded("png"))
    return file.getvalue()


def unusable_bytes():
    """The contents of files that have to be listed as skipped, by their names."""
    found = {f"empty.{suffix}": b"" for suffix in ENCODED}
    for suffix in ENCODED:
        whole = encoded(suffix)
        for share in (0.1, 0.5, 0.8):
            found[f"cut at {share}.{suffix}"] = whole[: int(share * len(whole))]
        if suffix != "ppm":  # one of zeros is a picture
            found[f"zeros after the head.{suffix}"] = whole[:12] + bytes(200)
        found[f"head of another.{suffix}"] = b"\x00\x01\x02\x03" + whole[4:]
    found |= {f"other.{suffix}": b"\x00" * 64 for suffix in ("heic", "avif", "jp2", "jxl")}
    texts = {
        "text": b"hello",
        "page": b"<html><script>alert(1)</script></html>",
        "pdf": b"%PDF-1.7\n1 0 obj\n",
    }
    texts |= {"svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>', "elf": b"\x7fELF" + bytes(60)}
    texts |= {"postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nquit\n", "zip": zipped()}
    texts |= {
        "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtins",
        "xpm": b"/* XPM */\n",
    }
    found |= {f"{name}.png": text for name, text in texts.items()}
    found |= {f"animated.{suffix}": animated(suffix) for suffix in ("gif", "webp", "png")}
    found["pages.tif"] = animated("tif")
    found |= {
        f"constant {value}.png": encoded("png", np.full((SIDE, SIDE), value, np.uint8))
        for value in (0, 128, 255)
    }
    found["one colour.png"] = encoded("png", np.broadcast_to(np.uint8([9, 99, 200]), (SIDE, SIDE, 3)).copy())
    found["transparent.png"] = encoded("png", np.zeros((SIDE, SIDE, 4), np.uint8))
    found["bomb.png"] = png(60_000, 60_000, data=zlib.compress(bytes(100)))
    found["wide bomb.png"] = png(2**30, 1, data=zlib.compress(bytes(100)))
    found["largest.png"] = png(2**31 - 1, 2**31 - 1)
    found["no pixels.png"] = png(0, 0)
    found["no rows.png"] = png(SIDE, 0)
    found["no data.png"] = png(SIDE, SIDE)
    found["bad depth.png"] = png(SIDE, SIDE, depth=3, data=zlib.compress(bytes(100)))
    found["bad colour.png"] = png(SIDE, SIDE, colour=5, data=zlib.compress(bytes(100)))
    found["bomb.gif"] = bomb_of_gif()
    found["bomb.ppm"] = b"P6 100000 100000 255\n" + bytes(100)
    found["negative.ppm"] = b"P6 -8 8 255\n" + bytes(200)
    found["no numbers.ppm"] = b"P6 eight eight 255\n" + bytes(200)
    found["no range.ppm"] = b"P6 8 8 0\n" + bytes(200)
    found["bomb.bmp"] = encoded("bmp")[:18] + struct.pack("<ii", 100_000, 100_000) + encoded("bmp")[26:]
    found["floats.tif"] = encoded("tif", np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
    found["negative.tif"] = encoded("tif", np.arange(-32, 32, dtype=np.int32).reshape(SIDE, SIDE))
    return found


def unusable_things(folder):
    """What is no file at all; returns the names that have to be listed."""
    os.mkfifo(folder / "pipe.png")
    (folder / "nowhere.png").symlink_to("nothing")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "circle a.png").symlink_to("circle b.png")
    (folder / "circle b.png").symlink_to("circle a.png")
    (folder / "zeros.png").symlink_to("/dev/zero")
    (folder / "round").symlink_to(folder)
    (folder / ".hidden").mkdir()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "s.png"))
    named = ("pipe", "nowhere", "loop", "circle a", "circle b", "zeros", "s")
    return [*(f"{name}.png" for name in named), "round", ".hidden"]


def usable_bytes():
    """The contents of files that look bad and are pictures, by their names."""
    rgb = noise(SIDE, SIDE, 3)
    grey = noise(SIDE, SIDE, seed=3)
    found = {
        "palette.png": encoded("png", Image.fromarray(rgb).quantize(16)),
        "palette.gif": encoded("gif", Image.fromarray(noise(SIDE, SIDE, 3, seed=4)).quantize(64)),
        "cmyk.jpg": encoded("jpg", Image.fromarray(noise(SIDE, SIDE, 4, seed=5), "CMYK")),
        "cmyk.tif": encoded("tif", Image.fromarray(noise(SIDE, SIDE, 4, seed=6), "CMYK")),
        "alpha.png": encoded("png", noise(SIDE, SIDE, 4, seed=7)),
        "grey and alpha.png": encoded("png", Image.fromarray(noise(SIDE, SIDE, 2, seed=8), "LA")),
        "grey.png": encoded("png", grey),
        "mask.png": encoded("png", Image.fromarray(grey).convert("1")),
        "16 bits.png": encoded("png", Image.fromarray(grey.astype(np.uint16) * 257)),
        "jpeg called.png": encoded("jpg", noise(SIDE, SIDE, 3, seed=9)),
        "UPPER.PNG": encoded("png", noise(SIDE, SIDE, 3, seed=10)),
        "\u202egnp.png": encoded("png", noise(SIDE, SIDE, 3, seed=11)),
        "a\nb.png": encoded("png", noise(SIDE, SIDE, 3, seed=12)),
        "=1+1.png": encoded("png", noise(SIDE, SIDE, 3, seed=13)),
        "<script>alert(1)<∕script>.png": encoded("png", noise(SIDE, SIDE, 3, seed=14)),
        "\x1b]0;title\x07.png": encoded("png", noise(SIDE, SIDE, 3, seed=15)),
        "-rf.png": encoded("png", noise(SIDE, SIDE, 3, seed=16)),
        " .png": encoded("png", noise(SIDE, SIDE, 3, seed=17)),
        f"{'x' * 250}.png": encoded("png", noise(SIDE, SIDE, 3, seed=18)),
        b"\xff\xfe.png".decode(errors="surrogateescape"): encoded("png", noise(SIDE, SIDE, 3, seed=19)),
    }
    turned = Image.fromarray(noise(SIDE, SIDE, 3, seed=20))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    found["turned.jpg"] = encoded("jpg", turned, exif=exif)
    return found
