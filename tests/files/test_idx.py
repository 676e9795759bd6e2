import gzip
import struct

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.files.idx import read_idx
from reference_files import memory_below


def noise(*shape, seed=0, high=256):
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint8)


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


GOOD = idx(noise(5, 4, 6))
BAD_IDX = {
    "empty": (b"", "starts with 00000803, got nothing"),
    "wrong magic": (b"\1\2\3\4" + GOOD[4:], "got 01020304"),
    "labels in place of images": (idx(noise(9)), "got 00000801"),
    "floats": (bytes([0, 0, 0x0D, 3]) + GOOD[4:], "got 00000d03"),
    "header only": (GOOD[:9], "for shape"),
    "no pixels": (idx(noise(0, 4, 6)), r"shape \[0, 4, 6\], got 0"),
    "truncated": (GOOD[:-7], "expected 120 bytes .*got 113"),
    "too long": (GOOD + b"1", "expected 120 bytes .*got more"),
    "claims far more than it holds": (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "got 120"),
    "truncated gzip": (gzip.compress(GOOD)[:-20], "damaged"),
    "flipped gzip": (gzip.compress(GOOD)[:90] + b"\0\0\0" + gzip.compress(GOOD)[93:], "damaged"),
    "gzip magic only": (b"\x1f\x8b", "damaged"),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_bad_idx_files_are_named(tmp_path, case):
    data, message = BAD_IDX[case]
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=f"file: .*{message}"):
        read_idx(tmp_path / "file", ndim=3)


def test_a_packed_idx_file_takes_no_more_than_it_may(tmp_path):
    pixels = bytes(64 << 20)
    (tmp_path / "a.gz").write_bytes(
        gzip.compress(struct.pack(">BBBBIII", 0, 0, 8, 3, 64, 1 << 10, 1 << 10) + pixels)
    )
    with memory_below(2**23), pytest.raises(InputError, match="a.gz: expected at most 250 times the"):
        read_idx(tmp_path / "a.gz", ndim=3)
