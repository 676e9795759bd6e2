"""Data sets larger than the memory: the split, the training and the run of the same items in memory."""

import numpy as np
import pytest
import torch

import memhorizon as mh
from memhorizon.datasets.sources import Gathering, Taken
from memhorizon.files import arrays, mapped
from memhorizon.files.mapped import is_mapped
from memhorizon.measure import neighbors

N, DIM = 3000, 12


@pytest.fixture
def file(tmp_path):
    """A file of vectors, with duplicates in the training set and across the split."""
    items = np.random.default_rng(0).normal(size=(N, DIM)).astype(np.float32)
    items[2000:2010] = items[:10]
    np.save(tmp_path / "x.npy", items)
    return tmp_path / "x.npy"


def on_disk(monkeypatch):
    """All arrays stay on the disk, and go through the memory in small parts."""
    for module in (arrays, mapped):
        monkeypatch.setattr(module, "MAPPED_FROM", 1)
    monkeypatch.setattr(mapped, "BLOCK", 500)
    monkeypatch.setattr(neighbors, "_SPAN", 1)


def test_a_split_on_the_disk_is_that_in_memory(file, monkeypatch):
    config = mh.DataConfig(name="file", path=str(file), n_train=2100, n_holdout=100, scale=2.0)
    wanted = mh.load_split(config)
    on_disk(monkeypatch)
    found = mh.load_split(config)
    assert is_mapped(found.train)
    assert not is_mapped(wanted.train)
    for name in ("train", "holdout", "train_index", "holdout_index", "group"):
        assert torch.equal(getattr(found, name), getattr(wanted, name)), name
    assert (found.center, found.near, found.left_out) == (wanted.center, wanted.near, wanted.left_out)
    assert found.fingerprint == wanted.fingerprint


def test_the_file_itself_is_not_changed(file, monkeypatch):
    before = file.read_bytes()
    on_disk(monkeypatch)
    split = mh.load_split(mh.DataConfig(name="file", path=str(file), n_train=1000, n_holdout=100))
    assert float(split.train.mean()) == pytest.approx(0, abs=1e-6)
    assert file.read_bytes() == before


def bytes_of(folder):
    kept = ("measures.jsonl", "samples.safetensors", "state.safetensors", "snapshots")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {p.relative_to(folder).name: p.read_bytes() for p in files if any(k in str(p) for k in kept)}


def test_a_run_on_the_disk_has_the_bytes_of_one_in_memory(file, tmp_path, monkeypatch):
    config = mh.Config(
        data=mh.DataConfig(name="file", path=str(file), n_train=1000, n_holdout=100),
        model=mh.MLPConfig(width=16, blocks=1),
        train=mh.TrainConfig(n_updates=30, batch_size=64),
        measure=mh.MeasureConfig(n_samples=20, snapshots=2, first=10, diffusion_times=(0.1,)),
    )
    mh.run(config, root=tmp_path / "memory")
    on_disk(monkeypatch)
    mh.run(config, root=tmp_path / "disk")
    wanted = bytes_of(tmp_path / "memory")
    assert len(wanted) > 2
    assert bytes_of(tmp_path / "disk") == wanted


def trained(data):
    model = mh.MLPConfig(width=16).build((DIM,), n_levels=50, seed=0)
    state = mh.TrainState.new(model, mh.OptimizerConfig())
    config = mh.TrainConfig(n_updates=20, batch_size=32)
    steps = mh.train(state, data, schedule=mh.ScheduleConfig(n_levels=50).build(), config=config, seed=3)
    losses = [float(step.loss) for step in steps]
    return losses, state.tensors()


def test_training_on_what_numpy_has_mapped(file):
    losses, weights = trained(torch.from_numpy(np.load(file)))
    found, others = trained(np.load(file, mmap_mode="r"))
    assert found == losses
    assert all(torch.equal(others[name], weights[name]) for name in weights)


def test_what_is_gathered_is_what_was_given(monkeypatch):
    generator = np.random.default_rng(1)
    parts = [
        Taken(torch.from_numpy(generator.normal(size=(n, 5)).astype(np.float32)), list(range(n)), [b"x"] * n)
        for n in (7, 0, 12, 1)
    ]
    for least in (1, 2**28):
        monkeypatch.setattr(mapped, "MAPPED_FROM", least)
        gathering = Gathering(20)
        for part in parts:
            gathering.add(part)
        taken = gathering.taken()
        assert is_mapped(taken.items) == (least == 1)
        assert torch.equal(taken.items, torch.cat([part.items for part in parts if len(part)]))
        assert taken.positions == [*range(7), *range(12), 0]
