"""The command that forecasts: its answer, its files, its exit status."""

import json
from pathlib import Path

import pytest

from memhorizon.cli import main
from memhorizon.records.files import load_record
from sweeps import make_runs

ROOT = Path(__file__).parents[2]
DIGITS = str(ROOT / "results" / "n_digits.json")
LR = str(ROOT / "results" / "lr_mixture.json")


def test_it_answers_with_a_picture_and_a_record(tmp_path, capsys):
    picture = tmp_path / "f.png"
    record = tmp_path / "f.json"
    words = ["forecast", DIGITS, "--n", "256", "--output", str(picture), "--record", str(record)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("tau_mem(256) = ")
    assert printed.endswith(f"open {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    made = load_record(record)
    assert made.forecast.summary() in printed
    assert made.forecast.n_train == 256
    assert made.command.startswith("memhorizon forecast")
    assert main(["report", str(record)]) == 0
    assert (tmp_path / "f.html").is_file()
    assert main(["figure", str(record)]) == 0
    assert (tmp_path / "f-forecast.png").is_file()


def test_json_is_the_record(capsys):
    assert main(["forecast", DIGITS, "--n", "256", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert (tree["kind"], tree["forecast"]["n_train"]) == ("forecast", 256)


def test_a_refusal_has_exit_status_1(tmp_path, capsys):
    page = tmp_path / "f.html"
    assert main(["forecast", LR, "--n", "64", "--lr", "1e-3", "--output", str(page)]) == 1
    told = capsys.readouterr()
    assert "one value only" in told.out
    assert "Run the next pilot" in told.err
    assert page.is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--output", "f.txt"], "output: expected a name that ends in one of .png"),
        (["--record", "no/where.json"], "record: expected a file in a folder that exists"),
        (["--n", "0"], "n_train: expected a whole number of at least 1"),
        (["--rules.quality", "kl"], "give the folder of its runs in its place"),
    ],
)
def test_what_cannot_be_used(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["forecast", DIGITS, "--n", "256", *words]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_rules_say_how_the_times_of_runs_are_read(tmp_path, capsys):
    make_runs(tmp_path / "runs")
    asked = ["forecast", str(tmp_path / "runs"), "--n", "1024"]
    assert main([*asked, "--rules.quality", "holdout", "--rules.t", "0.3", "--rules.memorized", "0.2"]) == 0
    told = capsys.readouterr().out
    assert "tau_mem of the pilots: memorized fraction 0.2 above its null" in told
    assert "tau_gen of the pilots: holdout@0.3 first at or below" in told
