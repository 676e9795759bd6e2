import contextlib
import io
import os
import socket
import struct
import warnings
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from memhorizon.errors import InputError
from memhorizon.files.arrays import load_array, split_key
from reference_files import deadline, memory_below


def noise(*shape, seed=0, high=256, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def _flip(data, position):
    return data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]


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


HEADERS = (
    "{'descr': (), 'fortran_order': False, 'shape': (3,)}",
    "{'descr': ('<f4',), 'fortran_order': False, 'shape': (3,)}",
    "{'descr': ['<f4'], 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3.0,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': None}",
    "{'descr': None, 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': (), 'shape': (3,)}",
    "{{}: 1}",
    "{[1]: 2}",
    "{1: 2, 'a': 3}",
    "[1, 2]",
    "1 +",
    "(" * 300,
    "-" * 9000 + "1",
    "1" * 5000,
)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("packed", [False, True])
def test_headers_that_say_something_else_are_damage(tmp_path, header, packed):
    data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + bytes(12)
    path = tmp_path / ("a.npz" if packed else "a.npy")
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("images.npy", data)
    else:
        path.write_bytes(data)
    with pytest.raises(InputError, match=f"{path.name}: damaged"):
        load_array(path)


def test_two_arrays_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the name given twice
        archive.writestr("images.npy", _npy(X))
        archive.writestr("images.npy", _npy(X[::-1]))
    for key in ("", "::images"):
        with pytest.raises(InputError, match="a.npz: expected each array once, got two of one name"):
            load_array(f"{tmp_path / 'a.npz'}{key}")


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_array_files_are_named(tmp_path, case):
    name, content, message = BAD_FILES[case]
    content = save({"a": X})[:-5] if case == "truncated safetensors" else content
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        load_array(tmp_path / name)


@pytest.mark.parametrize("kind", ["npy", "npz", "safetensors"])
def test_damaged_array_files_never_raise_anything_else(tmp_path, kind):
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
    np.save(tmp_path / "a.npy", X)
    np.savez_compressed(tmp_path / "a.npz", X)
    np.savez(tmp_path / "b.npz", labels=X[:, 0, 0], images=X)
    save_file({"anything": X}, tmp_path / "a.safetensors")
    for name in ("a.npy", "a.npz", "b.npz", "a.safetensors"):
        assert np.array_equal(np.asarray(load_array(tmp_path / name)), X)


def test_one_of_several_arrays_is_chosen_by_its_key(tmp_path):
    arrays = {"train_images": X, "val_images": noise(2, 4, 4, seed=1), "train_labels": noise(6, 1)}
    np.savez(tmp_path / "a.npz", **arrays)
    save_file(arrays, tmp_path / "a.safetensors")
    for name in ("a.npz", "a.safetensors"):
        for key, array in arrays.items():
            assert np.array_equal(np.asarray(load_array(f"{tmp_path / name}::{key}")), array)
        with pytest.raises(
            InputError, match=rf"{name}: expected one array, got .*train_images.*; .*{name}::KEY"
        ):
            load_array(tmp_path / name)
        with pytest.raises(InputError, match="expected an array called test_images, got .*train_images"):
            load_array(f"{tmp_path / name}::test_images")


def test_keys_are_written_so_that_no_path_is_mistaken(tmp_path):
    assert split_key("C:\\data\\a.npz")[1] is None
    assert split_key("C:\\data\\a.NPZ::x") == (split_key("C:\\data\\a.NPZ")[0], "x")
    assert split_key("a.npz::b.npz::c")[1] == "b.npz::c"
    assert split_key("a.npy::x")[1] is None  # it holds one array
    (tmp_path / "a.npz::x").write_bytes(_npz(y=X))
    assert split_key(tmp_path / "a.npz::x")[1] is None  # a file that is really called so


def test_two_of_the_usual_names_are_no_answer(tmp_path):
    np.savez(tmp_path / "a.npz", images=X, samples=X)
    with pytest.raises(InputError, match="expected one array, got images, samples; choose one with"):
        load_array(tmp_path / "a.npz")


def test_suffixes_in_any_case_and_a_file_is_what_it_holds(tmp_path):
    for name, content in (("a.NPY", _npy(X)), ("a.Npz", _npz(a=X)), ("a.SAFETENSORS", save({"a": X}))):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(np.asarray(load_array(tmp_path / name)), X)
    (tmp_path / "b.npy").write_bytes(_npz(a=X))
    assert np.array_equal(load_array(tmp_path / "b.npy"), X)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors", "a.NPZ"])
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a folder", "a device"])
def test_only_regular_files_are_opened(tmp_path, name, kind):
    path = tmp_path / name
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "a named pipe":
            os.mkfifo(path)
        elif kind == "a socket":
            place = os.open(tmp_path, os.O_RDONLY)  # the name of a socket may have 108 characters
            server.bind(f"/proc/self/fd/{place}/{name}")
            os.close(place)
        elif kind == "a folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero")
        with deadline(), pytest.raises(InputError, match=f"{name}: expected a regular file, got {kind}"):
            load_array(path)


def _member(shape, packing, *, zeros=0, claimed=None):
    """An .npz of an array of `shape` by its header, `zeros` bytes behind it; `claimed` is its stated size."""
    buffer = io.BytesIO()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(buffer, "w", packing) as archive, archive.open("images.npy", "w") as member:
        member.write(header.getvalue())
        for _ in range(zeros >> 20):
            member.write(bytes(1 << 20))
    data = buffer.getvalue()
    if claimed is not None:  # the directory at the end is what is believed
        place = data.index(b"PK\x01\x02") + 24
        data = data[:place] + struct.pack("<I", claimed + len(header.getvalue())) + data[place + 4 :]
    return data


MIB = 1 << 20
BOMBS = {  # by shape, packing and what else `_member` is told: they take seconds to pack, so not on import
    "bzip2": (((64, MIB), zipfile.ZIP_BZIP2, {"zeros": 64 * MIB}), "stored or deflated"),
    "lzma": (((64, MIB), zipfile.ZIP_LZMA, {"zeros": 64 * MIB}), "stored or deflated"),
    "bzip2 that claims to be small": (
        ((1, MIB), zipfile.ZIP_BZIP2, {"zeros": 64 * MIB, "claimed": MIB}),
        "stored or deflated",
    ),
    "deflate": (((64, MIB), zipfile.ZIP_DEFLATED, {"zeros": 64 * MIB}), "at most 250 times the"),
    "a header of 4 TiB": (
        ((4 * MIB, MIB), zipfile.ZIP_DEFLATED, {"zeros": MIB}),
        "at most 17,179,869,184 bytes",
    ),
    "a header of 1 GiB": (
        ((1024, MIB), zipfile.ZIP_STORED, {"zeros": MIB}),
        "damaged, expected 1,073,741,824",
    ),
    "a negative side": (((-1, MIB), zipfile.ZIP_STORED, {"zeros": MIB}), "damaged, expected"),
    "a directory of 3 GiB": (
        ((3072, MIB), zipfile.ZIP_DEFLATED, {"zeros": MIB, "claimed": 3072 * MIB}),
        "at most 250 times",
    ),
    "more than the directory says": (
        ((2, MIB), zipfile.ZIP_DEFLATED, {"zeros": 16 * MIB, "claimed": 2 * MIB}),
        "damaged",
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_small_file_never_takes_much_memory(tmp_path, case):
    """Of each at most 4 MiB are held by the file and may be read, once or twice."""
    (shape, packing, options), message = BOMBS[case]
    (tmp_path / "a.npz").write_bytes(_member(shape, packing, **options))
    with memory_below(16 * MIB), pytest.raises(InputError, match=f"a.npz.*{message}"):
        load_array(tmp_path / "a.npz")


def test_what_packs_well_and_is_small_or_packs_as_pictures_do_is_read(tmp_path):
    masks = np.zeros((400, 64, 64), bool)
    masks[:, 3:40, 9:50] = True
    np.savez_compressed(tmp_path / "a.npz", masks)
    assert np.array_equal(load_array(tmp_path / "a.npz"), masks)


def test_a_header_that_lies_about_a_plain_file(tmp_path):
    for shape in (b"(9, 4, 4)", b"(5, 4, 4)"):
        (tmp_path / "a.npy").write_bytes(_npy(X).replace(b"(6, 4, 4)", shape))
        with pytest.raises(InputError, match="damaged, expected [0-9]+ bytes for shape .*, got 96"):
            load_array(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(_npy(X) + _npy(X))  # a second array behind the first
    with pytest.raises(InputError, match="damaged, expected 96 bytes"):
        load_array(tmp_path / "a.npy")


def test_names_of_strangers_are_printed_harmlessly(tmp_path):
    keys = ["a\x1b[2Jb", "c\u202ed"] + [f"k{i}" for i in range(99)]
    save_file(dict.fromkeys(keys, X), tmp_path / "x\x1b]0;y.safetensors")
    with pytest.raises(InputError) as caught:
        load_array(tmp_path / "x\x1b]0;y.safetensors")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    with pytest.raises(InputError) as caught:
        load_array(tmp_path / "no\nsuch\x9bfile.npy")
    assert str(caught.value).isprintable()
