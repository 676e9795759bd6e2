"""Searches of points on the disk, in spans: the bits of the search in memory, also after one was ended."""

import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.measure import neighbors
from memhorizon.measure.neighbors import nearest, nearest_of


@pytest.fixture
def small_spans(monkeypatch):
    """Spans of 256 points, and samples placed 256 at a time."""
    monkeypatch.setattr(neighbors, "_SPAN", 1)
    monkeypatch.setattr(neighbors, "_CHUNK_OF_SPAN", 1)


def sets(count=1500, dim=12, dtype=np.float32):
    """Samples and points with exact copies, ties, and equal points in different spans."""
    generator = np.random.default_rng(0)
    points = generator.normal(size=(count, dim)).astype(dtype)
    points[1400] = points[3]
    points[700:710] = np.round(points[700:710])
    samples = generator.normal(size=(400, dim)).astype(dtype)
    samples[:5] = points[[3, 1400, 705, 255, 256]]
    return samples, points


def on_disk(folder, array, name="points.npy"):
    np.save(folder / name, array)
    return np.load(folder / name, mmap_mode="r")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("k", [1, 3, 300])
def test_points_on_the_disk_give_the_bits_of_points_in_memory(tmp_path, small_spans, dtype, k):
    samples, points = sets(dtype=dtype)
    wanted = nearest(samples, points, k=k)
    found = nearest(samples, on_disk(tmp_path, points), k=k)
    assert all(map(torch.equal, found, wanted))
    both = nearest(on_disk(tmp_path, samples, "s.npy"), on_disk(tmp_path, points), k=k)
    assert all(map(torch.equal, both, wanted))
    assert both[0].dtype == wanted[0].dtype


def test_one_large_number_in_a_late_span_widens_the_answer(tmp_path, small_spans):
    samples, points = sets()
    points[1300, 2] = 1e35
    wanted = nearest(samples, points, same_units=True)
    found = nearest(samples, on_disk(tmp_path, points), same_units=True)
    assert found[0].dtype == wanted[0].dtype == torch.float64
    assert all(map(torch.equal, found, wanted))


def test_bad_rows_are_named_by_their_numbers_in_the_file(tmp_path, small_spans):
    samples, points = sets()
    points[1300, 2] = np.nan
    with pytest.raises(InputError, match=r"train: .* rows \[1300\]"):
        nearest(samples, on_disk(tmp_path, points), same_units=True)


def test_some_points_of_a_file(tmp_path, small_spans):
    samples, points = sets()
    among = torch.arange(0, 1500, 2)
    file = neighbors.as_items(on_disk(tmp_path, points), "points")
    wanted = nearest(samples, points[::2], k=2)
    assert all(map(torch.equal, nearest_of(torch.from_numpy(samples), file, 2, among=among), wanted))
    in_memory = nearest_of(torch.from_numpy(samples), torch.from_numpy(points), 2, among=among)
    assert all(map(torch.equal, in_memory, wanted))


def test_progress_counts_points(tmp_path, small_spans):
    samples, points = sets()
    told = []
    nearest(samples, on_disk(tmp_path, points), progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 1500) for done in (256, 512, 768, 1024, 1280, 1500)]
    with pytest.raises(InputError, match="progress"):
        nearest(samples, points, progress=3)


def test_a_search_that_was_ended_goes_on_with_the_same_bits(tmp_path, small_spans):
    samples, points = sets()
    wanted = nearest(samples, points, k=3)

    def end(done, total):
        if done > 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nearest(samples, points, k=3, cache=tmp_path / "kept", progress=end)
    told = []
    found = nearest(samples, points, k=3, cache=tmp_path / "kept", progress=lambda done, _: told.append(done))
    assert told == [1024, 1280, 1500]
    assert all(map(torch.equal, found, wanted))
    again = nearest(samples, points, k=3, cache=tmp_path / "kept", progress=lambda *_: told.append(0))
    assert all(map(torch.equal, again, wanted))
    assert 0 not in told


def test_what_was_kept_belongs_to_one_search(tmp_path, small_spans):
    """Another k, other samples or other points begin anew; a damaged file counts as none."""
    samples, points = sets()
    nearest(samples, points, k=3, cache=tmp_path)
    for some, others, k in ((samples, points, 2), (samples[1:], points, 3), (samples, points + 1, 3)):
        found = nearest(some, others, k=k, cache=tmp_path)
        assert all(map(torch.equal, found, nearest(some, others, k=k)))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    for file in files:
        file.write_bytes(file.read_bytes()[:-7])
    assert all(map(torch.equal, nearest(samples, points, k=3, cache=tmp_path), nearest(samples, points, k=3)))


KILLED = """
import os, signal, sys
import numpy as np
from memhorizon.measure import neighbors
neighbors._SPAN = 1
def end(done, total):
    if done > 600:
        os.kill(os.getpid(), signal.SIGKILL)
samples = np.load(sys.argv[1] + "/s.npy")
points = np.load(sys.argv[1] + "/points.npy", mmap_mode="r")
neighbors.nearest(samples, points, cache=sys.argv[1] + "/kept", progress=end)
"""


def test_a_killed_process_leaves_what_it_found(tmp_path, small_spans):
    samples, points = sets()
    on_disk(tmp_path, samples, "s.npy")
    file = on_disk(tmp_path, points)
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == -signal.SIGKILL
    told = []
    found = nearest(samples, file, cache=tmp_path / "kept", progress=lambda done, _: told.append(done))
    assert told == [1024, 1280, 1500]
    assert all(map(torch.equal, found, nearest(samples, points)))
