"""What a run has written is known again; what was lost, changed or replaced is repaired or refused."""

import contextlib
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.record import record
from memhorizon.experiments.run import execute, measure, run
from memhorizon.experiments.run_directory import FILES, RunDir
from memhorizon.measure.config import MeasureConfig, snapshot_steps
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.training import OptimizerConfig, TrainConfig

MARKS = snapshot_steps(2, 12, 4)


def small(**changes):
    parts = {
        "data": DataConfig(name="mixture", n_train=8, n_holdout=16),
        "model": MLPConfig(width=8, blocks=1),
        "train": TrainConfig(n_updates=12, batch_size=4),
        "measure": MeasureConfig(
            snapshots=4, first=2, n_samples=6, sampler=SamplerConfig(n_solver_steps=2), repeats=1
        ),
    }
    return Config(**{**parts, **changes})


def outcome(directory):
    files = {"measures.jsonl": (directory.path / "measures.jsonl").read_bytes()}
    for folder in ("snapshots", "samples", "state"):
        files |= {f"{folder}/{p.name}": p.read_bytes() for p in (directory.path / folder).iterdir()}
    return files, [(row["step"], row["loss"]) for row in directory.steps()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(small(), root=tmp_path_factory.mktemp("whole"))


@pytest.fixture
def finished(whole, tmp_path):
    return RunDir(shutil.copytree(whole.path, tmp_path / whole.path.name))


def interrupted(root, config=None, until=6):
    directory = RunDir.create(root, config or small())
    stream = execute(directory)
    next(progress for progress in stream if progress.step > until)
    stream.close()
    return directory


def cut(path, share):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: int(len(lines) * share)]))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# --- rows


@pytest.mark.parametrize("share", [0, 0.4, 0.99])
def test_lost_measures_of_an_interrupted_run_are_measured_again(whole, tmp_path, share):
    directory = interrupted(tmp_path)
    cut(directory.path / "measures.jsonl", share)
    run(small(), root=tmp_path)
    assert directory.measures() == whole.measures()
    assert {row["step"] for row in directory.measures()} == set(MARKS)


def test_changed_measures_of_an_interrupted_run_are_measured_again(whole, tmp_path):
    directory = interrupted(tmp_path)
    edit(
        directory.path / "measures.jsonl",
        '"measure": "memorized", "value": ',
        '"measure": "memorized", "value": 1',
    )
    run(small(), root=tmp_path)
    assert directory.measures() == whole.measures()


def test_lost_measures_without_snapshots_and_a_lost_log_are_refused(tmp_path):
    plain = small(measure=replace(small().measure, keep=False))
    for config, name, said in (
        (plain, "measures.jsonl", "snapshots .* are not kept"),
        (small(), "steps.jsonl", "lost or changed rows"),
    ):
        directory = interrupted(tmp_path, config)
        cut(directory.path / name, 0.5)
        with pytest.raises(InputError, match=said):
            run(config, root=tmp_path)
        shutil.rmtree(directory.path / "state")  # as the message says
        assert run(config, root=tmp_path).done


@pytest.mark.parametrize("name", ["measures.jsonl", "steps.jsonl"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_rows_that_a_finished_run_lost_are_missed(finished, name, share):
    cut(finished.path / name, share)
    for look in (
        lambda: run(small(), root=finished.path.parent),
        lambda: (finished.steps(), finished.measures()),
    ):
        with pytest.raises(InputError, match=f"{name} is damaged"):
            look()


def test_measuring_again_mends_a_finished_run(whole, finished):
    cut(finished.path / "measures.jsonl", 0.5)
    assert list(measure(finished))
    assert finished.measures() == whole.measures()
    (finished.path / "snapshots" / "2.safetensors").unlink()
    with pytest.raises(InputError, match=r"snapshots \[2\] are not kept"):
        list(measure(finished))
    assert finished.measures() == whole.measures()


def test_an_older_run_without_digests_is_read(finished):
    (finished.path / "done.json").write_text('{"step": 12}')
    (finished.path / "data.json").unlink()
    assert run(small(), root=finished.path.parent).measures()


# --- settings of the measures


def test_measures_carry_the_settings_that_they_were_made_with(finished):
    changed = replace(small().measure, sampler=SamplerConfig(n_solver_steps=3), n_samples=9, threshold=0.25)
    list(measure(finished, small(measure=replace(changed, snapshots=9))))
    assert finished.config == small()
    assert finished.measure_config == changed  # which snapshots there are was decided by the run
    said = record([finished]).runs[0].config["measure"]
    assert (said["sampler"]["n_solver_steps"], said["n_samples"], said["threshold"]) == (3, 9, 0.25)
    assert all(row["total"] == 9 for row in finished.measures() if row["measure"] == "memorized")
    list(measure(finished))
    assert finished.measure_config == small().measure


def test_a_run_goes_on_with_the_settings_that_it_was_measured_with(tmp_path):
    directory = interrupted(tmp_path)
    changed = replace(small().measure, sampler=SamplerConfig(n_solver_steps=3), n_samples=9)
    list(measure(directory, small(measure=changed)))
    run(small(), root=tmp_path)
    assert directory.measure_config == changed
    rows = [row for row in directory.measures() if row["measure"] == "memorized"]
    assert [(row["step"], row["total"]) for row in rows] == [(step, 9) for step in MARKS]


def test_another_configuration_is_not_measured(finished):
    with pytest.raises(InputError, match="config: expected that of"):
        list(measure(finished, small(seed=1)))


# --- state and snapshots


def change_state(directory, change):
    tensors, _ = directory.read_state()
    change(tensors)
    directory.write_state(tensors)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_damaged_state_is_refused_with_the_remedy(whole, tmp_path):
    directory = interrupted(tmp_path)
    state = directory.path / "state" / "state.safetensors"
    kept = state.read_bytes()
    step = directory.read_state()[0]["step"]
    damages = [
        lambda: flip(state, -1),
        lambda: flip(state, len(kept) // 2),
        lambda: state.write_bytes(kept[:-1]),
        lambda: state.write_bytes(b""),
        lambda: directory.write_state({"step": step}),
        lambda: change_state(directory, lambda t: t.update(step=torch.tensor(13))),
        lambda: change_state(directory, lambda t: t.update(step=torch.tensor(-1))),
    ]
    for damage in damages:
        state.write_bytes(kept)
        damage()
        with pytest.raises(InputError, match=r"delete .*state|state: "):
            run(small(), root=tmp_path)
        assert not directory.done
    state.unlink()
    assert outcome(run(small(), root=tmp_path)) == outcome(whole)


def test_a_damaged_snapshot_is_not_measured(finished):
    flip(finished.path / "snapshots" / "2.safetensors", -1)
    before = finished.measures()
    with pytest.raises(InputError, match="checksum does not fit"):
        list(measure(finished))
    assert finished.measures() == before


def test_copies_by_other_programs_are_no_snapshots(finished):
    for name in (
        "5 (conflicted copy).safetensors",
        "5~.safetensors",
        "²",
        "²..safetensors",
        "best.safetensors",
    ):
        (finished.path / "snapshots" / name).write_bytes(b"")
    assert finished.snapshots() == MARKS


# --- configuration, data, environment


def test_an_edited_configuration_is_refused_everywhere(finished, tmp_path):
    going = interrupted(tmp_path / "going")
    for directory in (finished, going):
        edit(directory.path / "config.json", '"lr": 0.001', '"lr": 0.1')
        for use in (
            lambda directory=directory: directory.config,
            lambda directory=directory: run(small(), root=directory.path.parent),
            lambda directory=directory: list(measure(directory)),
        ):
            with pytest.raises(InputError, match=r"config\.json: expected the configuration"):
                use()


def test_a_directory_may_be_renamed_by_hand(finished):
    renamed = RunDir(finished.path.rename(finished.path.with_name("the good one")))
    assert renamed.config == small()


def test_configurations_of_one_short_name_do_not_share_a_directory(tmp_path):
    one, other = (small(optimizer=OptimizerConfig(lr=lr)) for lr in (1e-3, 2e-3))
    (tmp_path / other.key).mkdir()
    run(one, root=tmp_path)
    shutil.copytree(tmp_path / one.key, tmp_path / other.key, dirs_exist_ok=True)
    with pytest.raises(InputError):
        run(other, root=tmp_path)


def test_replaced_data_are_refused(tmp_path):
    def write(scale):
        np.save(tmp_path / "x.npy", scale * np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32))

    config = small(data=DataConfig(name="file", path=str(tmp_path / "x.npy"), n_train=8, n_holdout=16))
    write(1.0)
    done, going = run(config, root=tmp_path / "done"), interrupted(tmp_path / "going", config)
    write(1.5)
    for use in (
        lambda: run(config, root=tmp_path / "done"),
        lambda: list(measure(done)),
        lambda: run(config, root=tmp_path / "going"),
        lambda: list(measure(going)),
    ):
        with pytest.raises(InputError, match="restore the data, or use another root"):
            use()
    write(1.0)
    assert run(config, root=tmp_path / "going").data == done.data != {}


def test_what_was_different_when_a_run_went_on_is_kept(tmp_path):
    directory = interrupted(tmp_path)
    path = directory.path / "environment.json"
    first = directory.environment
    assert "resumed" not in first
    path.write_text(json.dumps(first | {"torch": "1.0", "capability": "NO AVX"}))
    going = execute(directory)
    next(going)
    going.close()
    run(small(), root=tmp_path)
    differences = {"torch": ["1.0", first["torch"]], "capability": ["NO AVX", first["capability"]]}
    (resumed,) = directory.environment["resumed"]  # said once, though it went on twice
    assert resumed == {"step": MARKS[1], "differences": differences}  # where its state was
    assert directory.environment["torch"] == "1.0"  # of the first start


def test_a_run_stays_on_its_device_unless_told_otherwise(tmp_path):
    directory = interrupted(tmp_path)
    edit(directory.path / "environment.json", '"device": "cpu"', '"device": "xpu"')
    with pytest.raises(InputError, match="device: .*began there"):
        run(small(), root=tmp_path)
    assert run(small(), root=tmp_path, device="cpu").environment["resumed"][0]["differences"] == {
        "device": ["xpu", "cpu"]
    }


@pytest.mark.parametrize("threads", ["many", 0, 10**9, None])
def test_a_damaged_number_of_threads_is_refused(tmp_path, threads):
    directory = interrupted(tmp_path)
    path = directory.path / "environment.json"
    path.write_text(json.dumps(directory.environment | {"threads": threads}))
    with pytest.raises(InputError, match=r"environment\.json is damaged"):
        run(small(), root=tmp_path)


# --- refused before the first step

REFUSED = [
    {"data": DataConfig(name="digits", n_train=5000)},
    {"data": DataConfig(name="file", path="/nowhere.npy")},
    {"model": UNetConfig(width=8, multipliers=(1, 2), attention=(False, False))},  # vectors are no images
    {"model": MLPConfig(width=2**40)},  # more memory than there is
]


@pytest.mark.parametrize("changes", REFUSED)
def test_nothing_is_written_of_what_cannot_be_run(tmp_path, changes):
    with pytest.raises(InputError):
        run(small(**changes), root=tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_an_unknown_device_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="device"):
        run(small(), root=tmp_path, device="abacus")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"data": DataConfig(name="mixture", n_train=8, n_holdout=0)},
        {"data": DataConfig(name="mixture", n_train=8, n_holdout=1)},
        {"data": DataConfig(name="mixture", n_train=1, n_holdout=16)},
        {"measure": replace(small().measure, n_samples=0)},
    ],
)
def test_what_lacks_a_part_is_run_without_it(tmp_path, changes):
    directory = run(small(**changes), root=tmp_path)
    assert directory.done
    assert {row["step"] for row in directory.measures()} == set(MARKS)


# --- faults at every call that changes the directory


class Killed(BaseException):
    """The process is gone: nothing that it would still do is done."""


CALLS = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "open")


class Fault:
    """Lets `at` calls that change something pass; from there on every one fails, or only that one."""

    def __init__(self, monkeypatch, at, error):
        self.at, self.error, self.count = at, error, 0
        for name in CALLS:
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, call):
        def wrapper(*args, **kwargs):
            if name == "open" and not args[1] & os.O_CREAT:
                return call(*args, **kwargs)
            self.count += 1
            dead = self.count > self.at if self.error is Killed else self.count == self.at + 1
            if dead:
                raise Killed if self.error is Killed else OSError(28, "No space left on device")
            return call(*args, **kwargs)

        return wrapper


def tiny():
    return small(
        data=DataConfig(name="gaussian", dim=2, n_train=4, n_holdout=0),
        train=TrainConfig(n_updates=4, batch_size=4),
        measure=MeasureConfig(snapshots=2, first=2, n_samples=0, repeats=1, diffusion_times=(0.1,)),
    )


@pytest.mark.parametrize(
    "stride", [7, pytest.param(1, marks=pytest.mark.slow)]
)  # few now, all in `make slow`
@pytest.mark.parametrize("error", [Killed, OSError])
def test_faults_at_every_call_that_changes_the_directory(tmp_path, monkeypatch, error, stride):
    with monkeypatch.context() as patch:
        fault = Fault(patch, 10**9, error)
        wanted = outcome(run(tiny(), root=tmp_path / "whole"))
    calls = fault.count
    assert calls > 20  # 26 of Python 3.10, whose pathlib keeps functions of its own
    for at in range(0, calls, stride):
        root = tmp_path / str(at)
        with monkeypatch.context() as patch:
            Fault(patch, at, error)
            with contextlib.suppress(error):  # a folder that is there already may be made in vain
                run(tiny(), root=root)
        directory = run(tiny(), root=root)
        assert outcome(directory) == wanted, at
        left = {path.name for path in directory.path.iterdir()}
        assert not {name for name in left if name.endswith(".tmp")}, at


@pytest.mark.parametrize("error", [Killed, OSError])
def test_faults_while_a_finished_run_is_measured_again(tmp_path, monkeypatch, error):
    finished = run(tiny(), root=tmp_path)
    changed = replace(tiny(), measure=replace(tiny().measure, repeats=2))
    before = finished.measures()
    for at in range(40):
        with monkeypatch.context() as patch:
            fault = Fault(patch, at, error)
            with contextlib.suppress(error):
                list(measure(finished, changed))
        found = finished.measures()  # whole at any moment
        assert (found == before) == (finished.measure_config == tiny().measure)
        if fault.count <= at:
            break
    assert found != before
    assert finished.done
    assert 5 < fault.count < 40


# --- what lies where a file belongs


def replace_by(path, kind):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("nowhere")
    else:
        path.write_text("x")


PLACES = [
    *((name, "folder") for name in (*FILES, "lock")),
    *((name, "pipe") for name in FILES),
    *((name, "link") for name in ("state/state.safetensors", "done.json", "config.json")),
    *((name, "file") for name in ("samples", "snapshots")),
]


@pytest.mark.parametrize(("name", "kind"), PLACES)
def test_what_is_no_file_is_refused_and_nothing_is_deleted(finished, name, kind):
    (finished.path / "done.json").unlink()
    replace_by(finished.path / name, kind)
    before = sorted(finished.path.rglob("*"))
    with pytest.raises(InputError, match=name):
        run(small(), root=finished.path.parent)
    assert sorted(finished.path.rglob("*")) == before


def test_files_of_others_stay(whole, finished):
    (finished.path / "done.json").unlink()
    shutil.rmtree(finished.path / "state")
    for name in ("500.png", "500.safetensors.bak", "x.tmp"):
        (finished.path / "snapshots" / name).write_text("mine")
        (finished.path / "snapshots" / f"folder {name}").mkdir()
    (finished.path / "samples" / "99.safetensors").write_text("of a killed process")
    (finished.path / "snapshots" / ".0123456789abcdef.tmp").write_text("of a killed process")
    run(small(), root=finished.path.parent)
    assert finished.measures() == whole.measures()
    kept = {path.name for path in (finished.path / "snapshots").iterdir()}
    assert {"500.png", "folder x.tmp", "x.tmp", "500.safetensors.bak"} <= kept
    assert ".0123456789abcdef.tmp" not in kept
    assert not (finished.path / "samples" / "99.safetensors").exists()


@pytest.mark.parametrize(
    "change",
    [
        *({"resumed": value} for value in ("x", [5], [{}], {"a": 1}, None)),
        *({"device": value} for value in (5, ["cpu"], {}, None)),
        {"threads": True},
    ],
    ids=str,
)
def test_an_environment_of_wrong_types_is_refused_by_name(finished, change):
    (finished.path / "done.json").unlink()
    path = finished.path / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"environment\.json is damaged"):
        run(small(), root=finished.path.parent)


def test_a_snapshot_of_another_step_is_not_measured(finished):
    folder = finished.path / "snapshots"
    shutil.copy(folder / "12.safetensors", folder / "2.safetensors")
    with pytest.raises(InputError, match=r"2\.safetensors holds the weights of step 12"):
        list(measure(finished))


def test_a_snapshot_that_is_gone_is_missed_on_the_way(finished):
    (finished.path / "done.json").unlink()
    (finished.path / "snapshots" / f"{MARKS[1]}.safetensors").unlink()
    with pytest.raises(InputError, match=rf"snapshots \[{MARKS[1]}\] are not kept"):
        run(small(), root=finished.path.parent)


def test_the_end_of_a_run_says_what_its_streams_were(whole, finished):
    (finished.path / "done.json").write_text("{}")
    with pytest.raises(InputError, match=r"done\.json is damaged.*delete it"):
        run(small(), root=finished.path.parent)
    (finished.path / "done.json").unlink()
    assert run(small(), root=finished.path.parent).measures() == whole.measures()


@pytest.mark.parametrize(
    "root", ["file", "file/below", "n" * 300, "a\0b"], ids=("file", "below", "long", "nul")
)
def test_a_root_that_cannot_be_is_refused(tmp_path, root):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="root: "):
        run(small(), root=tmp_path / root)
