"""Runs on disk: resumed ones end with the bytes of uninterrupted ones, half-written files are never read."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, to_json
from memhorizon.experiments.executors import Inline, Local
from memhorizon.experiments.run import execute, measure, run
from memhorizon.experiments.run_directory import RunDir, read_tensors, write_atomically
from memhorizon.experiments.sweep import grid
from memhorizon.measure.config import MeasureConfig, snapshot_steps
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.sweeps import sweep
from memhorizon.training import OptimizerConfig, TrainConfig


def small(**changes):
    parts = {
        "data": DataConfig(name="mixture", n_train=8, n_holdout=16),
        "model": MLPConfig(width=16, blocks=1),
        "optimizer": OptimizerConfig(lr=1e-3),
        "train": TrainConfig(n_updates=40, batch_size=4, ema=0.9),
        "measure": MeasureConfig(
            snapshots=5, first=5, n_samples=12, sampler=SamplerConfig(n_solver_steps=4), repeats=2
        ),
    }
    return Config(**{**parts, **changes})


def outcome(directory):
    """All that must not depend on interruptions."""
    files = {"measures.jsonl": (directory.path / "measures.jsonl").read_bytes()}
    for folder in ("snapshots", "samples", "state"):
        files |= {f"{folder}/{p.name}": p.read_bytes() for p in (directory.path / folder).iterdir()}
    losses = [(row["step"], row["loss"]) for row in directory.steps()]
    return files, losses


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(small(), root=tmp_path_factory.mktemp("whole"))


def test_a_run_leaves_what_was_asked_for(whole):
    assert whole.done
    assert whole.snapshots() == snapshot_steps(5, 40, 5)
    assert whole.sample_steps() == whole.snapshots()
    measured = {(row["measure"], row["step"]) for row in whole.measures()}
    for name in ("train", "holdout", "gap", "memorized"):
        assert {step for measure, step in measured if measure == name} == set(whole.snapshots())
    assert whole.last_step() == 40 == whole.steps()[-1]["step"]
    assert whole.config == small()


def test_a_finished_run_is_skipped(whole):
    before = {p: p.stat().st_mtime_ns for p in whole.path.rglob("*")}
    assert run(small(), root=whole.path.parent) == whole
    assert before == {p: p.stat().st_mtime_ns for p in whole.path.rglob("*")}


@pytest.mark.parametrize("events", [1, 2, 7, 20, 38])
def test_resumed_equals_uninterrupted(whole, tmp_path, events):
    directory = RunDir.create(tmp_path, small())
    stream = execute(directory)
    for _ in range(events):
        next(stream)
    stream.close()
    assert not directory.done
    assert outcome(run(small(), root=tmp_path)) == outcome(whole)


def test_what_a_killed_process_leaves_behind_is_not_read(whole, tmp_path):
    directory = RunDir.create(tmp_path, small())
    stream = execute(directory)
    for _ in range(20):
        next(stream)
    stream.close()
    with (directory.path / "measures.jsonl").open("a") as handle:
        handle.write('{"step": 9, "measure": "trai')  # cut in the middle of a line
    (directory.path / "snapshots" / "40.safetensors.tmp").write_bytes(b"half")
    (directory.path / "state" / "state.safetensors.tmp").write_bytes(b"half")
    assert directory.measures() == [row for row in directory.measures() if row["measure"]]
    assert directory.snapshots() == [step for step in directory.snapshots() if step < 40]
    assert outcome(run(small(), root=tmp_path)) == outcome(whole)


def test_kill_9_at_any_moment(tmp_path):
    config = small(train=TrainConfig(n_updates=600, batch_size=4))
    code = (
        "import sys, torch; from memhorizon.experiments.run import run;"
        "from memhorizon.experiments.config import from_json;"
        "torch.set_num_threads(1); run(from_json(sys.argv[1]), root=sys.argv[2])"
    )

    def start(root):
        return subprocess.Popen([sys.executable, "-c", code, to_json(config), str(root)])

    directory = RunDir(tmp_path / "cut" / config.key)
    for target in (1, 300):
        process = start(tmp_path / "cut")
        while process.poll() is None and directory.last_step() < target:
            time.sleep(0.02)  # it reads files: oftener would take the processor from the run
        process.send_signal(signal.SIGKILL)
        process.wait()
    run(config, root=tmp_path / "cut")
    assert outcome(directory) == outcome(run(config, root=tmp_path / "whole"))


def test_two_processes_do_not_write_one_run(tmp_path, monkeypatch):
    monkeypatch.setattr("memhorizon.experiments.run_directory.LOCK_TRIES", 1)
    directory = RunDir.create(tmp_path, small())
    stream = execute(directory)
    next(stream)
    with pytest.raises(InputError, match="another process"):
        next(execute(directory))
    stream.close()


def test_measuring_again_gives_the_same_rows(tmp_path):
    directory = run(small(), root=tmp_path)
    before = directory.measures()
    for _ in measure(directory):
        pass
    assert directory.measures() == before


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_diverging_run_says_so(tmp_path):
    config = small(optimizer=OptimizerConfig("sgd", lr=1e6))
    with pytest.raises(InputError, match="lr: the loss is not finite"):
        run(config, root=tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "config.json").unlink(), "expected a run directory"),
        (lambda path: (path / "config.json").write_text("{"), "expected JSON"),
        (lambda path: (path / "measures.jsonl").write_text("nonsense\n"), "damaged"),
        (lambda path: (path / "snapshots" / "5.safetensors").write_bytes(b"\0" * 20), "cannot read"),
        (lambda path: (path / "snapshots" / "5.safetensors").unlink(), "cannot read"),
    ],
)
def test_damaged_directories_are_refused(tmp_path, damage, message):
    directory = run(small(train=TrainConfig(n_updates=6, batch_size=4)), root=tmp_path)
    damage(directory.path)
    with pytest.raises(InputError, match=message):
        read_everything(directory.path)


def read_everything(path):
    directory = RunDir.open(path)
    assert directory.config
    directory.measures()
    read_tensors(path / "snapshots" / "5.safetensors")


def test_no_snapshots_cannot_be_measured(tmp_path):
    directory = RunDir.create(tmp_path, small())
    with pytest.raises(InputError, match="no snapshots in .*none was taken yet"):
        next(measure(directory))
    finished = run(small(train=TrainConfig(n_updates=6, batch_size=4)), root=tmp_path)
    for path in (finished.path / "snapshots").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no snapshots in .*they are gone"):
        next(measure(finished))


@pytest.mark.parametrize("executor", [Inline(), Local(processes=2, poll=0.1)])
def test_a_sweep_does_all_runs(tmp_path, executor):
    configs = grid(small(), n_train=(8, 12), seed=(0, 1))
    threads = torch.get_num_threads()
    directories = sweep(configs, root=tmp_path, executor=executor).runs
    assert [d.config for d in directories] == configs
    assert all(d.done for d in directories)
    assert torch.get_num_threads() == threads


def test_a_sweep_finishes_the_others_when_one_fails(tmp_path):
    good, bad = small(), small(data=DataConfig(name="digits", n_train=5000))
    with pytest.raises(InputError, match="1 of 2 runs failed"):
        sweep([bad, good], root=tmp_path, executor=Inline())
    assert RunDir(tmp_path / good.key).done


def test_seeds_of_a_grid_have_items_of_their_own():
    configs = grid(small(), seed=(0, 1))
    assert [c.data.subset for c in configs] == [0, 1]
    with pytest.raises(InputError, match="axes"):
        grid(small(), depth=(1,))
    with pytest.raises(InputError, match="configs"):
        sweep([])


def test_momentum_is_an_axis_of_sgd_alone():
    slow, fast = grid(small(optimizer=OptimizerConfig("sgd")), momentum=(0.0, 0.9))
    assert (slow.optimizer.momentum, fast.optimizer.momentum) == (0.0, 0.9)
    assert slow.key != fast.key
    with pytest.raises(InputError, match="optimizer.*got 'momentum'"):
        grid(small(optimizer=OptimizerConfig("adam")), momentum=(0.0, 0.9))


def test_streams_are_json_lines(whole):
    for line in (whole.path / "measures.jsonl").read_text().splitlines():
        assert isinstance(json.loads(line), dict)
