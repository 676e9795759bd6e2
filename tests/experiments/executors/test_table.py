"""The table of rows: what each attempt leaves in it, whether its worker ends, fails or is killed."""

import os
import signal
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import pytest

from memhorizon.errors import InputError, MissingExtraError
from memhorizon.experiments.executors import Inline, Local, Ray, Slurm
from memhorizon.experiments.executors.named import executor_of
from memhorizon.experiments.executors.processes import Place, places, single_threaded
from memhorizon.experiments.executors.ray import _due
from memhorizon.experiments.executors.slurm import minutes
from memhorizon.experiments.executors.table import attempt, fail, folder_of, look, queue, read_row, rows_in
from memhorizon.experiments.executors.task import BUSY, Task
from memhorizon.experiments.locks import BusyError, held
from typecheck import unchecked


@dataclass(frozen=True)
class Counted:
    """A job that leaves a file, after so many events; it fails where the text is an error."""

    path: Path
    text: str = "found"
    events: int = 1

    @property
    def done(self):
        return self.path.is_file()

    def work(self, device):
        yield from range(self.events)
        if self.text.startswith("error"):
            raise InputError(self.text)
        self.path.write_text(self.text)


def ends(path):
    return [one.ended for one in read_row(folder_of(path)).attempts]


def test_a_row_says_how_each_attempt_ended(tmp_path):
    path = tmp_path / "part"
    queue(path)
    assert rows_in(tmp_path)["part"].state == "waiting"
    with pytest.raises(InputError, match="error: no"):
        list(attempt(Counted(path, "error: no"), None))
    assert rows_in(tmp_path)["part"].state == "failed"
    assert rows_in(tmp_path)["part"].reason == "error: no"
    queue(path)  # the same command again
    assert rows_in(tmp_path)["part"].state == "waiting"
    stopped = attempt(Counted(path, events=3), None)
    next(stopped)
    assert rows_in(tmp_path)["part"].state == "running"
    stopped.close()
    list(attempt(Counted(path), None))
    assert rows_in(tmp_path)["part"].state == "done"
    list(attempt(Counted(path), None))  # done already: no attempt
    assert ends(path) == ["failed", "stopped", "done"]


def test_one_worker_at_a_time_and_nobody_else_changes_its_row(tmp_path):
    path = tmp_path / "part"
    first = attempt(Counted(path, events=2), None)
    next(first)
    for touch in (queue, lambda path: fail(path, "killed")):
        touch(path)
        assert look(folder_of(path)).state == "running"
    with pytest.raises(BusyError):
        list(attempt(Counted(path), None))
    assert Task(Counted(path), None, os.getcwd())() == BUSY
    list(first)
    assert ends(path) == ["done"]


BEGUN = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_table import Counted
from memhorizon.experiments.executors.table import attempt
for event in attempt(Counted(Path(sys.argv[1]), events=10**9), None):
    print("begun", flush=True)
    time.sleep(60)
"""


def test_a_killed_worker_is_seen_as_lost_and_the_next_one_goes_on(tmp_path):
    path = tmp_path / "part"
    here = Path(__file__).parent
    command = [sys.executable, "-c", BEGUN, path, here, here.parents[1]]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout.readline() == "begun\n"
        assert look(folder_of(path)).state == "running"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    seen = look(folder_of(path))
    assert (seen.state, seen.n_lost) == ("waiting", 1)
    list(attempt(Counted(path), None))
    assert ends(path) == ["lost", "done"]


def test_a_job_that_was_taken_over_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("memhorizon.experiments.locks.Hold.check", taken_over)
    path = tmp_path / "part"
    with pytest.raises(BusyError, match="taken over"):
        list(attempt(Counted(path), None))
    assert read_row(folder_of(path)).state == "running"  # as the other worker left it
    assert not path.exists()


def taken_over(hold):
    hold.lost = True
    raise BusyError("taken over")


def test_a_damaged_row_is_an_empty_one(tmp_path):
    path = tmp_path / "part"
    queue(path)
    (folder_of(path) / "row.json").write_bytes(b'{"state": "no')
    assert rows_in(tmp_path)["part"].state == "waiting"
    list(attempt(Counted(path), None))
    assert ends(path) == ["done"]


def test_a_task_that_fails_says_why(tmp_path):
    assert Task(Counted(tmp_path / "part", "error: no"), None, str(tmp_path))() == "error: no"
    assert "No such file" in Task(Counted(tmp_path / "part"), None, str(tmp_path / "gone"))()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("sge", {}, "executor: expected one of .*got 'sge'"),
        ("local", {"partition": "gpu"}, "partition: expected an option of local .*which slurm has"),
        ("slurm", {"per_gpu": 2}, "per_gpu: expected an option of slurm .*which local has"),
        ("ray", {"nodes": 2}, "nodes: expected an option of ray"),
        ("slurm", {"time": "4 hours"}, "time: expected a time limit such as 4h"),
        ("slurm", {"memory": "much"}, "memory: expected a size such as 16G"),
        ("ray", {"gpus": 1.5}, "gpus: expected a share of one or a whole number"),
        ("local", {"processes": 0}, "processes: expected a whole number of at least 1"),
    ],
)
def test_what_an_executor_does_not_know_is_refused_by_name(name, options, said):
    with pytest.raises(InputError, match=said):
        executor_of(name, options)


def test_a_share_of_a_gpu_is_for_ray():
    assert Ray(gpus=0.5).gpus == 0.5
    with pytest.raises(InputError, match="gpus: expected a whole number"):
        unchecked(Slurm, gpus=0.5)


def test_jobs_whose_time_comes_at_the_same_moment_are_all_done(tmp_path):
    one, two, other = (Counted(tmp_path / name) for name in ("one", "two", "other"))
    later = deque([(0.0, one), (0.0, two), (float("inf"), other)])
    assert list(_due(later)) == [one, two]
    assert [job for _, job in later] == [other]


def test_executors_by_name():
    assert executor_of("local", {"processes": 3}) == Local(3)
    assert executor_of("inline", {}) == Inline()
    assert minutes("1d2h3m") == 26 * 60 + 3


def test_a_missing_engine_names_the_line_that_installs_it(monkeypatch, tmp_path):
    for extra, package, executor in (("slurm", "submitit", Slurm()), ("ray", "ray", Ray())):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match=rf'pip install "memhorizon\[{extra}\]"'):
            list(executor([Counted(tmp_path / "part")]))


def test_no_slurm_here_is_said(monkeypatch, tmp_path):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="executor: slurm needs the command sbatch"):
        list(Slurm()([Counted(tmp_path / "part")]))


def where(job):
    return sorted(os.sched_getaffinity(0)), os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no process on a core")
def test_processes_are_kept_on_their_cores_and_devices(monkeypatch):
    mine = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert [place.gpu for place in places(per_gpu=2)] == ["4", "6", "4", "6"]
    assert [place.core for place in places(3, pin=True)] == [mine[k % len(mine)] for k in range(3)]
    with single_threaded([Place(mine[-1], "6")]) as pool:
        (found,) = [end.value for end in pool.do(where, deque([0])) if end is not None]
    assert found == ([mine[-1]], "6")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,6"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(InputError, match="per_gpu: expected a machine with CUDA devices"):
        places(per_gpu=1)


def test_a_held_folder_is_no_bar_to_reading(tmp_path):
    path = tmp_path / "part"
    queue(path)
    with held(folder_of(path), tries=0):
        assert rows_in(tmp_path)["part"].state == "waiting"
