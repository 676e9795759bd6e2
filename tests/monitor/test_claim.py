"""One monitor at a time writes to a folder; what it could not keep it says."""

import json
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import load_file

import memhorizon as mh
from memhorizon.distributions import Gaussian
from memhorizon.experiments.locks import BusyError, _born, this_process
from memhorizon.files.plain import write_atomically
from memhorizon.monitor.claim import WRITER, Claim
from memhorizon.report.monitor_page import sentence
from watched_training import items, monitor, network


def model(seed=0):
    net = network(seed)
    with torch.no_grad():
        net.body[3].weight.mul_(0.1)
        net.body[3].bias.zero_()
    return net


def learned(net):
    """A network that is a good one, whatever its weights: they are only kept."""
    exact = mh.Denoiser.exact(Gaussian(torch.zeros(6).double(), 0.25 * torch.eye(6).double()))

    class Around(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x, index):
            alpha_bar = mh.Schedule.linear().alpha_bar[index]
            return exact(x / alpha_bar.sqrt()[:, None].float(), ((1 - alpha_bar) / alpha_bar).sqrt())

    return mh.Denoiser.x0(Around(), mh.Schedule.linear())


def watch_in(root):
    return mh.Monitor(
        items(20, 0) / 2,
        holdout=items(20, 1) / 2,
        denoiser=learned,
        sampler=mh.SamplerConfig("ddim", 4),
        target=0.3,
        budget=None,
        root=root,
        plan=mh.LookPlan(2, 1.5, 2.0, 8, 8, 2),
    )


def followed(watch, net):
    for step in (2, 3, 5):
        watch.update(step, net)


def test_the_first_of_two_keeps_its_weights_and_the_second_is_told(tmp_path):
    one = watch_in(tmp_path)
    two = watch_in(tmp_path)
    followed(one, model(0))
    with pytest.warns(UserWarning, match="written by another monitor") as caught:
        followed(two, model(1))
    assert len(caught) == 1
    best = one.finish(model(0))
    assert best is not None
    kept = load_file(best.path)
    name = "net.body.0.weight"
    assert torch.equal(kept[name], model(0).body[0].weight)
    other = two.best
    assert other is not None
    assert (other.path, "not be kept" in other.note) == ("", True)
    # the folder is free again
    again = watch_in(tmp_path)
    followed(again, model(2))
    assert again.record().failures == ()


def test_a_folder_of_a_monitor_that_is_gone_is_taken_over(tmp_path):
    followed(watch_in(tmp_path), model(0))
    (tmp_path / "candidate-000000777.safetensors").write_bytes(b"of an earlier training")
    watch = watch_in(tmp_path)
    followed(watch, model(1))
    assert watch.record().failures == ()
    kept = {path.name for path in tmp_path.glob("candidate-*")}
    assert kept == {f"candidate-{step:09d}.safetensors" for step in watch._memory.candidates}


def test_another_process_holds_it_as_long_as_it_runs(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        row = {**this_process(), "pid": process.pid, "born": _born(process.pid), "token": "another"}
        (tmp_path / WRITER).write_text(json.dumps(row))
        with pytest.raises(BusyError, match=f"another monitor .process {process.pid}"):
            Claim(tmp_path).take()
        process.communicate(b"\n")
    assert Claim(tmp_path).take()


def test_of_several_that_come_at_once_one_gets_it(tmp_path, monkeypatch):
    """The disk is slow, so that all have looked before the first has written, if they may."""

    def slowly(path, content):
        time.sleep(0.2)
        write_atomically(path, content)

    monkeypatch.setattr("memhorizon.monitor.claim.write_atomically", slowly)
    together = threading.Barrier(3)
    claims = [Claim(tmp_path) for _ in range(3)]

    def is_taken(claim):
        together.wait()
        try:
            return claim.take()
        except BusyError:
            return False

    with ThreadPoolExecutor(len(claims)) as pool:
        assert sum(pool.map(is_taken, claims)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [WRITER]


def test_weights_that_could_not_be_written_are_not_said_to_be_kept(tmp_path):
    """A folder in the place of the file: as for a full disk, the file cannot be written."""
    (tmp_path / "best.safetensors").mkdir()
    watch = watch_in(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        followed(watch, model(0))
    best = watch.best
    assert best is not None
    assert best.path == ""
    assert "not be kept" in best.note
    assert "not be kept" in sentence(watch.record())


def test_monitors_without_a_folder_do_not_meet():
    for watch in (monitor(), monitor()):
        watch.update(2, model(0))
        assert watch.record().failures == ()
