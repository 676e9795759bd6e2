"""`memhorizon monitor`: a folder of checkpoints from the command line."""

import json

import numpy as np
import pytest

from checkpoint_folders import digits, folder_of, tiny
from memhorizon.cli import main
from memhorizon.records.files import load_record

pytest.importorskip("diffusers")

QUICK = ("--n-samples", "4", "--n-solver-steps", "1", "--target", "0.2", "--device", "cpu", "--quiet")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two checkpoints, training and held-out digits."""
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "run", [100, 200])
    np.save(tmp_path / "train.npy", digits(40).numpy())
    np.save(tmp_path / "holdout.npy", digits(20, start=40).numpy())
    return tmp_path


def monitor(*flags):
    return main(["monitor", "run", "--train", "train.npy", "--holdout", "holdout.npy", *QUICK, *flags])


def test_it_looks_at_each_checkpoint_and_goes_on_with_new_ones(place, capsys):
    """Untrained networks copy nothing: the last one is certified where no other is."""
    assert monitor() == 0
    out = capsys.readouterr().out
    assert "Use the checkpoint of step" in out
    assert "open report.html" in out
    page = (place / "report.html").read_text()
    assert page.count("data:image/png") > 4
    first = load_record(place / "run" / "memhorizon" / "monitor.json")
    assert [look.step for look in first.looks] == [100, 200]
    assert first.best is not None
    assert first.command.startswith("memhorizon monitor run --train train.npy")

    tiny(7).save_pretrained(place / "run" / "checkpoint-300" / "unet")
    assert monitor() == 0
    assert "resumes after step 200" in capsys.readouterr().err
    again = load_record(place / "run" / "memhorizon" / "monitor.json")
    assert [look.step for look in again.looks] == [100, 200, 300]
    assert repr(again.looks[:2]) == repr(first.looks)  # NaN is not equal to itself
    assert monitor() == 0  # nothing new: the same answer
    assert repr(load_record(place / "run" / "memhorizon" / "monitor.json").looks) == repr(again.looks)


def test_a_checkpoint_that_cannot_be_used_is_named_and_the_others_are_looked_at(place, capsys):
    config = place / "run" / "checkpoint-100" / "unet" / "config.json"
    config.write_text(config.read_text().replace('"UNet2DModel"', '"UNet3DConditionModel"'))
    assert monitor("--json") == 1  # the network of the other one has learned nothing
    answer = capsys.readouterr()
    assert [look["step"] for look in json.loads(answer.out)["looks"]] == [200]
    assert "skipped: checkpoint-100: " in answer.err


def test_other_images_begin_anew(place, capsys):
    assert monitor() == 0
    np.save(place / "train.npy", digits(40, start=100).numpy())
    assert monitor() == 0
    assert "goes on" not in capsys.readouterr().err


def test_images_of_another_size_are_refused_before_anything_is_looked_at(place, capsys):
    """The network is made for 8 x 8 and would be called with 16 x 16 without an error of its own."""
    np.save(place / "train.npy", np.random.default_rng(0).random((20, 1, 16, 16), dtype=np.float32))
    assert main(["monitor", "run", "--train", "train.npy", *QUICK]) == 2
    told = capsys.readouterr().err
    assert "train: expected images of 1 x 8 x 8 (channels x height x width)" in told
    assert "checkpoint-100 is made, got 1 x 16 x 16" in told


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--output", "nowhere/report.html"), "output: expected a file in a folder that exists"),
        (("--scheduler", "nowhere"), "scheduler: expected scheduler_config.json or its folder"),
        (("--weights", "ema"), "folder: expected checkpoints in 'run', got none that can be used"),
        (("--target", "2"), "target: expected a finite number"),
        (("--device", "cuda:99"), "device: expected one of this machine"),
        (("--train", "nowhere.npy"), "nowhere.npy"),
        (("--root", "train.npy"), "root: cannot make the folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(place, capsys, flags, message):
    assert monitor(*flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
