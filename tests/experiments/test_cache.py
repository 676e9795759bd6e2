"""The cache gives back what was computed, bit for bit, or has it computed again; never anything else."""

import hashlib
import os
import stat
import time

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.experiments import cache as module
from memhorizon.experiments.cache import Cache, cached
from memhorizon.files import digests
from memhorizon.files.digests import digest_of
from memhorizon.files.plain import user_cache

MADE = {
    "weights": torch.arange(12.0).reshape(3, 4).T,  # strides of another order
    "flags": torch.tensor([True, False]),
    "none": torch.empty(0, 5),
    "half": torch.tensor([1.5, float("nan"), -0.0], dtype=torch.bfloat16),
    "one": torch.tensor(7, dtype=torch.int64),
}


class Counter:
    """Computes tensors, and knows how often."""

    def __init__(self, made=MADE):
        self.made = made
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.made


def files(cache):
    return sorted(path for path in cache.folder.iterdir() if not path.name.startswith("."))


def same_bits(a, b):
    assert sorted(a) == sorted(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].shape == b[name].shape
        assert digest_of(a[name]) == digest_of(b[name])


def test_what_was_computed_comes_back_bit_for_bit(tmp_path):
    compute = Counter()
    cache = Cache(tmp_path / "new" / "cache")
    first = cache.tensors({"step": "descriptor", "seed": 0}, compute)
    again = Cache(tmp_path / "new" / "cache").tensors({"seed": 0, "step": "descriptor"}, compute)
    assert compute.calls == 1
    same_bits(first, MADE)
    same_bits(again, MADE)
    again["weights"].zero_()  # the answer is the caller's, the file is not touched
    same_bits(cache.tensors({"step": "descriptor", "seed": 0}, compute), MADE)


def test_every_difference_of_the_key_is_another_file(tmp_path):
    cache = Cache(tmp_path)
    keys = [{"seed": 0}, {"seed": 1}, {"seed": "0"}, {"seed": 0, "more": None}, {"seed": [0, 1.5]}]
    for i, key in enumerate(keys):
        made = cache.tensors(key, Counter({"x": torch.tensor([i])}))
        assert made["x"].item() == i
    assert len(files(cache)) == len(keys)


def test_another_version_of_the_procedure_is_another_file(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    compute = Counter()
    cache.tensors({"seed": 0}, compute)
    monkeypatch.setattr(module, "PROTOCOL", module.PROTOCOL + 1)
    cache.tensors({"seed": 0}, compute)
    assert compute.calls == 2


def test_every_damage_is_seen_and_mended(tmp_path):
    cache = Cache(tmp_path)
    made = {"x": torch.arange(50.0)}
    cache.tensors({"a": 1}, Counter(made))
    (path,) = files(cache)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    damages = [whole[:cut] for cut in (0, 1, 7, 8, 40, len(whole) - 1)]
    damages += [whole + b"x", b"\xff" * len(whole)]
    for place in generator.choice(len(whole), size=40, replace=False):  # one flipped bit
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.integers(8)
        damages.append(bytes(damaged))
    for damaged in damages:
        path.write_bytes(damaged)
        compute = Counter(made)
        same_bits(cache.tensors({"a": 1}, compute), made)
        assert compute.calls == 1, damaged[:80]
        assert path.read_bytes() == whole


def test_a_file_under_another_name_is_not_believed(tmp_path):
    cache = Cache(tmp_path)
    cache.tensors({"a": 1}, Counter({"x": torch.zeros(2)}))
    (first,) = files(cache)
    cache.tensors({"a": 2}, Counter({"x": torch.ones(2)}))
    (second,) = set(files(cache)) - {first}
    second.write_bytes(first.read_bytes())
    assert cache.tensors({"a": 2}, Counter({"x": torch.ones(2)}))["x"].tolist() == [1, 1]


@pytest.mark.parametrize("thing", ["folder", "pipe", "link to nowhere"])
def test_what_lies_in_the_place_of_a_file_is_no_file(tmp_path, thing):
    cache = Cache(tmp_path)
    compute = Counter()
    cache.tensors({"a": 1}, compute)
    (path,) = files(cache)
    path.unlink()
    if thing == "folder":
        path.mkdir()
    elif thing == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "nothing")
    same_bits(cache.tensors({"a": 1}, compute), MADE)
    assert compute.calls == 2


def test_the_files_not_used_for_longest_make_room(tmp_path):
    cache = Cache(tmp_path, most_bytes=10_000)
    kept = tmp_path / "notes.txt"  # of somebody else
    kept.write_bytes(bytes(20_000))
    tensor = torch.zeros(500)  # 2,000 bytes, and a header
    for i in range(3):
        cache.tensors({"i": i}, Counter({"x": tensor + i}))
        for path in files(cache):
            os.utime(path, (time.time() - 1000 + i,) * 2) if path.suffix != ".txt" else None
    first = cache._path({"i": 0})
    os.utime(first, (0, 0))
    cache.tensors({"i": 0}, Counter({"x": tensor}))  # used again: no longer the oldest
    os.utime(cache._path({"i": 1}), (1, 1))
    for i in range(3, 5):
        cache.tensors({"i": i}, Counter({"x": tensor + i}))
    names = {path.name for path in files(cache)}
    assert cache._path({"i": 1}).name not in names
    assert {first.name, cache._path({"i": 4}).name, "notes.txt"} <= names
    assert sum(path.stat().st_size for path in files(cache) if path != kept) <= 10_000


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path):
    cache = Cache(tmp_path, most_bytes=100)
    same_bits(cache.tensors({"a": 1}, Counter()), MADE)
    assert files(cache) == [] or sum(path.stat().st_size for path in files(cache)) < 1_000


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    cache = Cache(tmp_path)
    old = tmp_path / f".{'a' * 16}.tmp"
    young = tmp_path / f".{'b' * 16}.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.tensors({"a": 1}, Counter())
    assert not old.exists()
    assert young.exists()


def test_a_folder_that_nothing_can_be_written_in_is_refused_and_one_that_vanishes_is_not(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="^cache: cannot make the folder"):
        Cache(tmp_path / "file")
    with pytest.raises(InputError, match="^cache: cannot make the folder"):
        Cache(tmp_path / "file" / "below")
    cache = Cache(tmp_path / "there")
    cache.folder.rmdir()
    same_bits(cache.tensors({"a": 1}, Counter()), MADE)


def test_a_new_folder_is_for_its_user_alone(tmp_path):
    assert stat.S_IMODE(Cache(tmp_path / "private").folder.stat().st_mode) == 0o700


def test_without_a_cache_the_answer_is_the_same():
    compute = Counter()
    same_bits(cached(None, {"a": 1}, compute), MADE)
    assert compute.calls == 1


def test_an_error_of_the_computation_leaves_nothing(tmp_path):
    cache = Cache(tmp_path)

    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.tensors({"a": 1}, fails)
    assert list(tmp_path.iterdir()) == []


def test_the_default_place(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache("audit") == tmp_path / "memhorizon" / "audit"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, by the specification
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_cache("audit") == tmp_path / "home" / ".cache" / "memhorizon" / "audit"


# --- digests ---


def by_hand(array):
    """The same digest by NumPy."""
    head = f'["torch.{array.dtype}", {list(array.shape)}]'
    return hashlib.sha256(head.encode() + array.tobytes()).hexdigest()


@pytest.mark.parametrize("shape", [(), (3,), (4, 5), (2, 3, 4, 5), (0, 7), (3, 0)])
def test_a_digest_is_of_type_shape_and_bytes(shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert digest_of(torch.from_numpy(np.array(array))) == by_hand(np.array(array))


def test_strides_and_chunks_change_no_digest(monkeypatch):
    array = np.random.default_rng(0).integers(256, size=(37, 3, 5), dtype=np.uint8)
    wanted = by_hand(array)
    tensor = torch.from_numpy(array)
    strided = tensor.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert digest_of(strided) == wanted
    for chunk in (1, 15, 16, 100, 10**6):
        monkeypatch.setattr(digests, "DIGESTED", chunk)
        assert digest_of(tensor) == wanted


def test_type_shape_and_order_change_the_digest():
    x = torch.arange(6, dtype=torch.int32)
    others = [x.reshape(2, 3), x.float(), x.flip(0), x.to(torch.int64), x.view(torch.float32)]
    assert len({digest_of(y) for y in [x, *others]}) == len(others) + 1
