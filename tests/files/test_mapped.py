"""Tensors over files: the numbers of the file, the memory of a block, and never a byte written."""

import gc
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from memhorizon.files import arrays, mapped
from memhorizon.files.arrays import load_array
from memhorizon.files.images import load_images, load_mapped, load_usable
from memhorizon.files.mapped import as_mapped, blocks, by_blocks, ends, give_back, is_mapped, rows_of


@pytest.fixture
def saved(tmp_path):
    """A file, and its array in memory."""
    array = np.random.default_rng(0).normal(size=(500, 3, 7)).astype(np.float32)
    np.save(tmp_path / "x.npy", array)
    return tmp_path / "x.npy", array


@pytest.fixture
def all_mapped(monkeypatch):
    monkeypatch.setattr(arrays, "MAPPED_FROM", 0)


def resident(tensor):
    """Kilobytes of the mapping of a tensor that are in the memory of this process, as Linux counts."""
    start = tensor.untyped_storage().data_ptr()
    size = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        word = line.split()
        if "-" in word[0] and not word[0].endswith(":"):
            low, high = (int(end, 16) for end in word[0].split("-"))
            size = low <= start < high
        elif size and word[0] == "Rss:":
            return int(word[1])
    raise AssertionError("no such mapping")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "bool"])
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_mapped_array_is_a_tensor_of_its_numbers(tmp_path, dtype, mode):
    array = np.random.default_rng(0).integers(0, 2, size=(40, 9)).astype(dtype)
    np.save(tmp_path / "x.npy", array)
    given = np.load(tmp_path / "x.npy", mmap_mode=mode)
    for part in (given, given[7:], given[3:][2:20], given[5]):
        tensor = as_mapped(part)
        assert is_mapped(tensor)
        assert is_mapped(tensor[1:])
        assert np.array_equal(tensor.numpy(), part)
        assert tensor.numpy().dtype == array.dtype


def test_what_cannot_stay_on_the_disk_is_not_mapped(saved, tmp_path):
    path, array = saved
    given = np.load(path, mmap_mode="r")
    assert as_mapped(array) is None
    assert as_mapped(np.load(path, mmap_mode="c")) is None  # may hold what is in no file
    assert as_mapped(given[:, 1]) is None
    assert as_mapped(given[:0]) is None
    np.save(tmp_path / "big.npy", array.astype(">f4"))
    assert as_mapped(np.load(tmp_path / "big.npy", mmap_mode="r")) is None
    assert not is_mapped(torch.ones(3))


def test_the_list_of_mappings_ends_with_the_arrays(saved):
    before = len(mapped._mappings)
    tensor = as_mapped(np.load(saved[0], mmap_mode="r"))[5:]
    gc.collect()
    assert len(mapped._mappings) == before + 1
    assert tensor.sum().isfinite()
    del tensor
    gc.collect()
    assert len(mapped._mappings) == before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system alone decides")
def test_a_pass_by_blocks_keeps_no_page(tmp_path):
    """16 MB, of which a block is 1 MB; the system maps some pages around those that are asked for."""
    np.save(tmp_path / "x.npy", np.ones((4096, 1024), np.float32))
    tensor = as_mapped(np.load(tmp_path / "x.npy", mmap_mode="r"))
    most = 0
    for part in blocks(tensor, rows=256):
        assert float(part.sum()) == part.numel()
        most = max(most, resident(tensor))
    assert most < 8192
    assert resident(tensor) < 256
    assert float(tensor.sum()) == tensor.numel()
    assert resident(tensor) >= 16 * 1024
    give_back(tensor)
    assert resident(tensor) < 256
    some = torch.tensor([[5, 4000], [0, 77]])
    assert torch.equal(rows_of(tensor, some), torch.ones(2, 2, 1024))
    assert rows_of(tensor, some[:0]).shape == (0, 2, 1024)
    assert resident(tensor) < 256


def test_what_was_written_into_a_tensor_is_kept_and_not_in_the_file(saved, all_mapped):
    path, array = saved
    tensor = load_array(path, mapped=True)
    tensor[3] = 7.0
    give_back(tensor)
    assert bool((tensor[3] == 7).all())
    assert np.array_equal(np.load(path), array)


def test_a_large_file_stays_on_the_disk_only_where_that_is_asked_for(saved, all_mapped):
    path, array = saved
    assert isinstance(load_array(path), np.ndarray)
    assert not is_mapped(load_images(path).images)
    for load in (load_mapped, load_usable):
        images = load(path).images
        assert is_mapped(images)
        assert np.array_equal(images[:, 0].numpy(), array)


@pytest.mark.parametrize("change", ["fortran", "big", "short"])
def test_other_files_are_read_or_refused_as_ever(tmp_path, all_mapped, change):
    path = tmp_path / "x.npy"
    array = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    if change == "short":
        np.save(path, array)
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(arrays.InputError, match="damaged"):
            load_array(path, mapped=True)
        return
    np.save(path, np.asfortranarray(array) if change == "fortran" else array.astype(">f4"))
    assert np.array_equal(np.asarray(load_array(path, mapped=True), np.float32), array)


def test_bad_values_on_the_disk_are_found(tmp_path, all_mapped, monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 64)
    array = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    array[77, 3] = np.nan
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(arrays.InputError, match="first is number 77"):
        load_mapped(tmp_path / "x.npy")
    assert load_usable(tmp_path / "x.npy").skipped[0].name == "77"


def test_ends_and_functions_by_blocks_are_those_of_the_whole(saved, monkeypatch):
    path, array = saved
    monkeypatch.setattr(mapped, "BLOCK", 100)
    tensor = as_mapped(np.load(path, mmap_mode="r"))
    whole = torch.from_numpy(array)
    assert ends(tensor) == (float(array.min()), float(array.max()))
    assert torch.equal(by_blocks(lambda x: x.amax(1), tensor), whole.amax(1))
    assert torch.equal(torch.cat(list(blocks(whole))), whole)
    array[400, 2, 2] = np.nan
    assert all(np.isnan(ends(torch.from_numpy(array))))
