"""Sweeps: every run that can be done is done, each other one is a row with its reason."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Inline, base, processes
from memhorizon.experiments.executors.processes import Place, cores, single_threaded
from memhorizon.experiments.executors.table import rows_in
from memhorizon.experiments.run import execute
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import execute_sweep, grid
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.sweeps import sweep
from memhorizon.training import TrainConfig

BASE = Config(
    data=DataConfig(name="gaussian", dim=2, n_holdout=0),
    model=MLPConfig(width=8, blocks=1),
    train=TrainConfig(n_updates=4, batch_size=4),
    measure=MeasureConfig(snapshots=1, first=2, n_samples=0, repeats=1, diffusion_times=(0.1,)),
)
FILES = (
    "config.json",
    "environment.json",
    "data.json",
    "steps.jsonl",
    "measures.jsonl",
    "done.json",
    "state/state.safetensors",
)


def test_one_damaged_directory_is_one_row_whichever_file_it_is(tmp_path):
    configs = grid(BASE, n_train=range(4, 4 + len(FILES) + 1))
    for name, config in zip(FILES, configs, strict=False):
        (RunDir.create(tmp_path, config).path / name).write_bytes(b"\xff\n")
    last = None
    with pytest.raises(InputError, match=f"{len(FILES)} of {len(configs)} runs failed") as raised:
        for last in execute_sweep(configs, root=tmp_path, executor=Inline()):  # noqa: B007
            pass
    assert RunDir(tmp_path / configs[-1].key).done
    reasons = {outcome.path.name: outcome.error for outcome in last.outcomes}  # the last one has them all
    assert len(last.runs) == len(reasons) == len(configs)
    for name, config in zip(FILES, configs, strict=False):
        assert name in reasons[config.key]
        assert name in str(raised.value)
    assert reasons[configs[-1].key] == ""


def test_any_failure_of_a_run_is_its_own(tmp_path):
    configs = grid(BASE, width=(2**40, 8, 2**41))
    with pytest.raises(InputError, match="2 of 3 runs failed"):
        sweep(configs, root=tmp_path, executor=Inline())
    assert [path.parent.name for path in tmp_path.glob("*/config.json")] == [configs[1].key]
    states = {name: row.state for name, row in rows_in(tmp_path).items()}
    assert states == {config.key: "done" if config == configs[1] else "failed" for config in configs}
    assert RunDir(tmp_path / configs[1].key).done


def test_a_run_that_another_process_writes_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("memhorizon.experiments.run_directory.LOCK_TRIES", 0)
    configs = grid(BASE, seed=(0, 1))
    writer = execute(RunDir.create(tmp_path, configs[0]))
    next(writer)
    seen = execute_sweep(configs, root=tmp_path, executor=Inline())
    while not RunDir(tmp_path / configs[1].key).done:  # it goes on with the others
        next(seen)
    for _ in range(5):
        assert next(seen).step < next(seen).steps
    for _ in writer:  # the other process ends it
        pass
    assert all(run.done for run in list(seen)[-1].runs)


def test_a_machine_that_does_not_know_its_cores_for_this_process(monkeypatch):
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        assert cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores() == os.cpu_count()


def test_a_killed_process_costs_its_job_alone():
    jobs = deque([1, -signal.SIGKILL, 2, 3])
    with single_threaded([Place()]) as pool:
        ended = [end for end in pool.do(_kill_or_return, jobs, poll=0.1) if end is not None]
    assert [(end.job, end.value, end.killed) for end in ended] == [
        (1, 1, False),
        (-signal.SIGKILL, None, True),
        (2, 2, False),
        (3, 3, False),
    ]
    assert "killed (exit code -9" in ended[1].error


def _kill_or_return(number):
    if number < 0:
        os.kill(os.getpid(), -number)
    return number


def test_what_a_job_raises_is_said():
    assert processes._result(partial(int, "x"), 10)[1].startswith("ValueError: invalid")
    for error, said in ((MemoryError(), "MemoryError: "), (InputError("n: no"), "n: no")):
        assert base.reason(error) == said


SCRIPT = """
import signal
import sys
import memhorizon as mh
from memhorizon.measure.config import MeasureConfig
from memhorizon.experiments.executors import Local
config = mh.Config(
    data=mh.DataConfig(name="gaussian", dim=2, n_holdout=0), model=mh.MLPConfig(width=8, blocks=1),
    train=mh.TrainConfig(n_updates=100_000, batch_size=4),
    measure=MeasureConfig(snapshots=1, first=100_000, n_samples=0))
GUARD
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts the tests may have it ignored
    mh.sweep(mh.grid(config, seed=(0, 1)), root=sys.argv[1], executor=Local(1))
"""


def start(folder, guard):
    script = folder / "script.py"
    script.write_text(SCRIPT.replace("GUARD", guard))
    return subprocess.Popen(
        [sys.executable, script, folder / "runs"], start_new_session=True, stderr=subprocess.PIPE, text=True
    )


def test_ctrl_c_ends_a_sweep_and_begins_nothing(tmp_path):
    process = start(tmp_path, 'if __name__ == "__main__":')
    try:
        while not list(tmp_path.glob("runs/*/steps.jsonl")):
            time.sleep(0.05)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    finally:
        process.kill()  # where the test fails nothing goes on
        process.communicate()
    assert said.count("Traceback") == 1  # the processes say nothing
    assert "KeyboardInterrupt" in said
    assert len(list(tmp_path.glob("runs/*/steps.jsonl"))) == 1


def test_a_script_without_its_guard_is_told_so(tmp_path):
    said = start(tmp_path, "if True:").communicate()[1]
    assert "InputError: executor: the processes cannot start" in said
    assert 'if __name__ == "__main__":' in said
    assert said.count("Traceback") == 1


def test_one_closed_directory_is_one_row(tmp_path, monkeypatch):
    configs = grid(BASE, seed=(0, 1))
    closed = RunDir.create(tmp_path, configs[0]).path
    (closed / "steps.jsonl").write_text('{"step": 1}\n')
    stat, lstat, open_ = os.stat, os.lstat, Path.open

    def guarded(call):
        def inner(path, *args, **options):
            if closed in Path(os.fsdecode(path) if not isinstance(path, int) else ".").parents:
                raise PermissionError(13, "Permission denied", str(path))
            return call(path, *args, **options)

        return inner

    monkeypatch.setattr(os, "stat", guarded(stat))
    monkeypatch.setattr(os, "lstat", guarded(lstat))
    monkeypatch.setattr(Path, "open", guarded(open_))
    with pytest.raises(InputError, match=r"1 of 2 runs failed(.|\n)*Permission denied"):
        sweep(configs, root=tmp_path, executor=Inline())
    assert RunDir(tmp_path / configs[1].key).done


def test_configurations_may_come_from_anything_that_yields_them(tmp_path):
    configs = grid(BASE, seed=(0, 1))
    for given in ((config for config in configs), np.array(configs, dtype=object)):
        assert len(sweep(given, root=tmp_path, executor=Inline())) == 2


OTHER_TYPES = """
import sys
import memhorizon as mh
from memhorizon.devices import device_of
from memhorizon.experiments.executors import Inline
from memhorizon.errors import InputError
config, root = mh.Config(), sys.argv[1]
calls = {
    "configs": [lambda x=x: mh.sweep(x, root=root, executor=Inline())
                for x in (config, None, [], [{}], [None], {"a": 1}, "ab")],
    "config": [lambda x=x: mh.run(x, root=root) for x in (None, {})],
    "root": [lambda x=x: mh.run(config, root=x) for x in (None, 5, b"x")]
          + [lambda: mh.sweep([config], root=None, executor=Inline())],
    "device": [lambda x=x: device_of(x) for x in (5, True, ["cpu"], {}, b"cpu")],
}
for name, several in calls.items():
    for i, call in enumerate(several):
        try:
            call()
        except InputError as error:
            assert str(error).startswith(name + ": expected"), (name, i, str(error))
        else:
            raise AssertionError((name, i))
"""


def test_other_types_are_refused_by_name(tmp_path):
    """In a process of its own: here the type checker of the tests would be the first to refuse them."""
    subprocess.run([sys.executable, "-c", OTHER_TYPES, tmp_path / "runs"], check=True)


def test_one_number_is_no_axis():
    for values in (np.array(5), 5, "5", ()):
        with pytest.raises(InputError, match="n_train: expected a sequence"):
            grid(BASE, n_train=values)


def test_a_script_from_standard_input_is_told_to_save_itself(tmp_path):
    script = SCRIPT.replace("GUARD", 'if __name__ == "__main__":')
    ended = subprocess.run(
        [sys.executable, "-", tmp_path / "runs"], input=script, capture_output=True, text=True, check=False
    )
    assert "InputError: executor: a script from standard input cannot start processes" in ended.stderr
    assert ended.stderr.count("Traceback") == 1
