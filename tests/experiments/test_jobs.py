"""Parts of recipes are jobs like runs: any executor does them, and what is done is not done again."""

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from memhorizon.experiments.executors import Inline, Local, Outcome
from memhorizon.experiments.jobs import PartJob, do_jobs
from memhorizon.experiments.locks import BusyError
from memhorizon.files.plain import read_object


def squared(number, device):
    if number < 0:
        raise ValueError(f"no negative numbers\nsuch as {number}")
    return {"square": number**2, "device": device, "process": os.getpid()}


def killed_once(path, device):
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), 9)
    return {"square": 0}


def job(folder, number):
    return PartJob(folder / f"part{number}.json", {"number": number}, partial(squared, number))


def ends(jobs, executor, **options):
    """How the jobs ended."""
    return [outcome for outcome in do_jobs(jobs, executor=executor, **options) if outcome is not None]


def made(jobs, executor, **options):
    """What the jobs leave."""
    assert {outcome.error for outcome in ends(jobs, executor, **options)} == {""}
    return [read_object(job.path) for job in jobs]


@pytest.mark.parametrize("executor", [Inline(), Local(1, poll=0.1)], ids=["inline", "local"])
def test_every_executor_does_the_parts_of_a_recipe(tmp_path, executor):
    found = made([job(tmp_path, k) for k in (3, 1, 2)], executor, device="cpu")
    assert [(part["square"], part["device"]) for part in found] == [(9, "cpu"), (1, "cpu"), (4, "cpu")]
    assert [part["settings"] for part in found] == [{"number": k} for k in (3, 1, 2)]
    assert all((part["process"] == os.getpid()) == isinstance(executor, Inline) for part in found)


def test_what_is_done_is_read_and_what_has_other_settings_or_is_damaged_is_made_again(tmp_path):
    files = [tmp_path / f"part{k}.json" for k in (1, 2, 3)]
    files[0].write_text(json.dumps({"settings": {"number": 1}, "square": "kept"}))
    files[1].write_text(json.dumps({"settings": {"number": 9}, "square": "old"}))
    files[2].write_text('{"settings": {"numb')
    found = made([job(tmp_path, k) for k in (1, 2, 3)], Inline())
    assert [part["square"] for part in found] == ["kept", 4, 9]


def test_one_failed_part_never_takes_the_others_down(tmp_path):
    jobs = [job(tmp_path, k) for k in (-1, 1, 2)]
    errors = [outcome.error for outcome in ends(jobs, Inline())]
    assert errors == ["ValueError: no negative numbers", "", ""]
    assert [job.done for job in jobs] == [False, True, True]


def test_a_killed_worker_is_tried_once_more(tmp_path):
    killed = PartJob(tmp_path / "part.json", {}, partial(killed_once, tmp_path / "seen"))
    assert made([killed], Local(1, poll=0.1)) == [{"settings": {}, "square": 0}]


@dataclass(frozen=True)
class Busy:
    """A job that another process does until somebody has asked for it three times."""

    path: Path
    asked: list[str]
    done = False

    def work(self, device):
        self.asked.append("busy")
        if self.asked.count("busy") <= 3:
            raise BusyError("another process")
        yield None


@dataclass(frozen=True)
class Quick:
    path: Path
    asked: list[str]
    done = False

    def work(self, device):
        self.asked.append("quick")
        yield None


def test_a_busy_job_is_waited_for_while_the_others_go_on(tmp_path):
    asked: list[str] = []
    jobs = [Busy(tmp_path / "a", asked), Quick(tmp_path / "b", asked)]
    ended = ends(jobs, Inline())
    assert asked == ["busy", "quick", "busy", "busy", "busy"]
    assert ended == [Outcome(tmp_path / "b"), Outcome(tmp_path / "a")]
