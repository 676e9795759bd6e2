"""The command line as users meet it: each command once for real, and every bad input with its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from memhorizon.cli import main
from memhorizon.datasets import DataConfig
from memhorizon.experiments.config import Config, MeasureConfig, to_json
from memhorizon.nets import MLPConfig
from memhorizon.training import TrainConfig

SMALL = Config(
    data=DataConfig(name="mixture", n_train=8, n_holdout=16),
    model=MLPConfig(width=16, blocks=1),
    train=TrainConfig(steps=20),
    measure=MeasureConfig(snapshots=3, first=4, n_samples=10, sampler_steps=4, repeats=1),
)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(to_json(SMALL))
    return str(path)


def test_train_measure_watch_report(tmp_path, config, capsys):
    root = tmp_path / "runs"
    assert main(["train", "--load", config, "--root", str(root), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    run = root / SMALL.key
    assert made["runs"][0]["key"] == SMALL.key
    assert (run / "report.html").is_file()
    assert main(["measure", str(run), "--n-samples", "6"]) == 0
    assert "6" in (run / "measures.jsonl").read_text()
    assert main(["watch", str(root), "--once"]) == 0
    assert f"{SMALL.key}: done" in capsys.readouterr().out
    assert main(["report", str(root)]) == 0
    assert f"open {root / 'report.html'}" in capsys.readouterr().out


def test_dry_run_says_what_and_how_long_and_does_nothing(tmp_path, config, capsys):
    assert main(["train", "--load", config, "--root", str(tmp_path / "runs"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert SMALL.key in out
    assert " s" in out
    assert not (tmp_path / "runs").exists()


def test_a_reader_that_leaves_early_is_no_error():
    """As in `memhorizon ... | head -1`, with more output than a pipe holds."""
    command = [sys.executable, "-c", "from memhorizon.cli import main; raise SystemExit(main())"]
    arguments = ["reproduce", "width_mixture", "--dry-run"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert b"mixture-n16" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_flags_reach_the_configuration(tmp_path, capsys):
    flags = [
        "--data.name",
        "mixture",
        "--data.n-train",
        "6",
        "--train.steps",
        "30",
        "--measure.n-samples",
        "0",
    ]
    arguments = [
        "train",
        *flags,
        "--measure.first",
        "30",
        "--dry-run",
        "model:mlp-config",
        "--model.width",
        "8",
    ]
    assert main(arguments) == 0
    assert "mixture-n6-mlp8-seed0" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["spectrum", "losses", "times"])
def test_theory(tmp_path, command, capsys):
    flags = ["--psi-n", "4", "--psi-p", "16", "--t", "0.1"]
    assert main(["theory", command, *flags]) == 0
    assert capsys.readouterr().out.strip()
    target = tmp_path / "answer.json"
    assert main(["theory", command, *flags, "--json", "--out", str(target)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(target.read_text())


def test_the_masses_of_a_spectrum_add_up(capsys):
    assert main(["theory", "spectrum", "--psi-n", "4", "--psi-p", "16", "--t", "0.1", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    total = answer["atom"]["weight"] + sum(bulk["mass"] for bulk in answer["intervals"])
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["measure", "nowhere"], "expected a run directory"),
        (["report", "nowhere"], "expected a run directory"),
        (["watch", "nowhere"], "expected a run directory"),
        (["figure", "nothing"], "expected a record"),
        (["reproduce", "nothing"], "name: expected one of"),
        (["train", "--load", "nowhere.json"], "No such file"),
        (["train", "--data.n-train", "5000"], "5000"),
        (["train", "--data.name", "folder", "--data.path", "nowhere"], "nowhere"),
        (["sweep", "--n-train", "0"], "n_train"),
        (["theory", "times", "--psi-n", "-1"], "psi_n"),
        (["theory", "times", "--activation", "linear"], "linear"),
        (["theory", "times", "--weights", "1", "2"], "weights"),
        (["theory", "losses", "--first", "0"], "first"),
    ],
)
def test_bad_input_exits_with_2_and_says_why(arguments, message, capsys, tmp_path, monkeypatch):
    root = ["--root", str(tmp_path)] if arguments[0] in ("train", "sweep") else []
    assert main([*arguments, *root]) == 2
    assert message in capsys.readouterr().err


def test_help_of_every_command(capsys):
    for command in ("demo", "train", "sweep", "measure", "watch", "report", "figure", "reproduce", "theory"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert "usage" in capsys.readouterr().out


def test_recipes_are_listed(capsys):
    assert main(["reproduce"]) == 0
    names = {line.split(":")[0] for line in capsys.readouterr().out.splitlines()}
    folder = Path(__file__).resolve().parents[1] / "recipes"
    assert names <= {path.stem for path in folder.glob("*.py")}
    assert names
