"""The command that plans: it shows, asks, and goes on with what is there."""

import json

import numpy as np
import pytest
from PIL import Image

from memhorizon.cli import main
from memhorizon.experiments.planning import base_config
from memhorizon.files.images import load_images
from memhorizon.records.codec import encode_object
from memhorizon.records.files import write_record
from memhorizon.records.plan import ImageFacts, PlannedPilot, PlanRecord
from memhorizon.results import Estimate

COUNT = 64


@pytest.fixture
def folder(tmp_path):
    """Pictures with a plan for them, which was made before."""
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8)).astype(np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{i}.png")
    images = load_images(str(folder))
    config = base_config(folder, images, size=None, grey=False, width=16, lr=2e-3, batch_size=32)
    facts = ImageFacts(str(folder), COUNT, (1, 8, 8), 0, Estimate(50.0, 40.0, 60.0), 40, 35.0)
    pilots = (PlannedPilot(16, 2, 1000, 60.0),)
    made = PlanRecord("plan", "", facts, None, encode_object(config), pilots, 2, minutes=7.0)
    write_record(made, tmp_path / "plan" / "plan.json")
    return folder


def test_it_shows_the_plan_and_runs_nothing_unasked(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--images", "images", "--output", "plan.html"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("64 images of 1 x 8 x 8, no duplicates")
    assert "pilots: 2 of n = 16, 1,000 steps: 1.0 core-min" in told.out
    assert "Pilots on 16 of the 64 images would tell: about 1 min on 2 cores. --yes runs them." in told.err
    assert "Pilots on 16" in (tmp_path / "plan.html").read_text()
    assert [path.name for path in (tmp_path / "plan").iterdir()] == ["plan.json"]


def test_json_is_the_record(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--images", "images", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert (tree["kind"], tree["facts"]["n"], tree["forecast"]) == ("plan", COUNT, None)
    assert tree["command"] == "memhorizon plan --images images --json"


def test_other_settings_need_another_root(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--images", "images", "--width", "32"]) == 2
    assert "holds a plan of other images or settings" in capsys.readouterr().err


def test_minutes_of_a_plan_that_has_begun_are_told(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan" / "run").mkdir()
    (tmp_path / "plan" / "run" / "config.json").write_text("{}")
    assert main(["plan", "--images", "images", "--minutes", "3"]) == 0
    told = capsys.readouterr()
    assert "minutes: the plan in 'plan' is for 7 minutes, and its pilots have begun" in told.err
    assert "chosen for 7 minutes" in told.out


def test_minutes_that_are_not_enough_have_exit_status_2(folder, tmp_path, capsys, monkeypatch):
    """The plan that is there has not begun: it is made anew, and does not fit."""
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--images", "images", "--minutes", "0.001", "--yes", "--device", "cpu"]) == 2
    told = capsys.readouterr()
    assert "0.001 minutes are not enough: the smallest plan takes about" in told.err
    assert [path.name for path in (tmp_path / "plan").iterdir()] == ["plan.json"]
