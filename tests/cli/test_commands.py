"""The command line as users meet it: each command once for real, and every bad input with its exit status."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import torch

from memhorizon.cli import main
from memhorizon.cli.dry_running import print_needs
from memhorizon.cli.estimating import START
from memhorizon.cli.threads import fitting_threads
from memhorizon.cli.units import size
from memhorizon.cli.watched import seconds_left
from memhorizon.datasets.split import DataConfig
from memhorizon.experiments.config import Config, from_json, to_json
from memhorizon.experiments.executors import Inline
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import grid
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.recipes.sweeps import TABLE
from memhorizon.samplers import SamplerConfig
from memhorizon.training import TrainConfig

SMALL = Config(
    data=DataConfig(name="mixture", n_train=8, n_holdout=16),
    model=MLPConfig(width=16, blocks=1),
    train=TrainConfig(n_updates=20),
    measure=MeasureConfig(
        snapshots=3, first=4, n_samples=10, sampler=SamplerConfig(n_solver_steps=4), repeats=1
    ),
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


def test_a_quiet_dry_run_says_what_and_how_long_and_does_nothing(tmp_path, config, capsys):
    assert main(["train", "--load", config, "--root", str(tmp_path / "runs"), "--dry-run", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""  # no progress
    out = shown.out
    assert SMALL.key in out
    assert " s, " in out
    assert " MB of memory" in out
    assert "of disk" in out
    assert not (tmp_path / "runs").exists()


def test_dry_run_says_what_a_run_needs_by_another_executor(config, capsys):
    words = ["sweep", "--load", config, "--n-train", "8", "12", "--executor", "inline"]
    shown = dry(words, capsys)
    assert shown["at_once"] == 1
    assert shown["memory"] == max(run["memory"] for run in shown["runs"])
    assert dry([*words[:-2], "--processes", "2"], capsys)["at_once"] == 2
    assert shown["disk"] == sum(run["disk"] for run in shown["runs"])
    assert shown["seconds"] <= sum(run["seconds"] for run in shown["runs"]) + START
    assert shown["memory"] >= max(run["memory"] for run in shown["runs"]) > 50e6
    print_needs(shown["runs"], "Slurm")
    line = capsys.readouterr().out
    assert "by Slurm each run needs at most about" in line
    assert size(max(run["memory"] for run in shown["runs"])) in line


def test_a_reader_that_leaves_early_is_no_error():
    """As in `memhorizon ... | head -1`, with more output than a pipe holds."""
    command = [sys.executable, "-c", "from memhorizon.cli import main; raise SystemExit(main())"]
    arguments = ["theory", "losses", "--points", "2000"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert b"L_train" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_flags_reach_the_configuration(tmp_path, capsys, unmeasured):
    flags = [
        "--data.name",
        "mixture",
        "--data.n-train",
        "6",
        "--train.n_updates",
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
        (["reproduce", "nothing"], "name: expected a recipe, got"),
        (["train", "--load", "nowhere.json"], "No such file"),
        (["train", "--data.n-train", "5000"], "5000"),
        (["train", "--data.name", "folder", "--data.path", "nowhere"], "nowhere"),
        (["sweep", "--n-train", "0"], "n_train"),
        (["sweep"], "at least one axis"),
        (["sweep", "--n-train", "16", "--data.n-train", "32"], "got both"),
        (["sweep", "--n-train", "16", "--over", "n_train=32"], "twice"),
        (["sweep", "--n-train", "16", "--over", "data.n-train=32"], "both set"),
        (["sweep", "--over", "optimizer.lr"], "NAME=VALUE"),
        (["sweep", "--over", "optimizer.lr="], "NAME=VALUE"),
        (["sweep", "--over", "optimizer.speed=1"], "optimizer.lr"),
        (["sweep", "--over", "optimizer.lr=fast"], "config.optimizer.lr"),
        (["train", "--device", "abacus"], "device"),
        (["train", "--device", "cuda:99"], "device"),
        (["train", "--load", "."], "expected a file"),
        (["train", "--load", "/dev/zero"], "expected a file"),
        (["train", "--load", "latin.json"], "latin.json"),
        (["train", "--load", "deep.json"], "JSON"),
        (["train", "--load", "digits.json"], "JSON"),
        (["train", "--load", "list.json"], "expected an object"),
        (["figure", "/etc/passwd"], "expected a record"),
        (["figure", "*"], "expected a record"),
        (["figure", "../latin"], "expected a record"),
        (["figure", "", "--results", "empty"], "expected a record"),
        (["figure", "all", "--results", "empty"], "with records"),
        (["reproduce", "../latin"], "name: expected a recipe, got"),
        (["train", "--model.width", "8"], "--model.width: expected options of a network at the end"),
        (["train", "--model.width=8", "model:mlp-config"], "model:mlp-config --model.width=8 ..."),
        (["sweep", "--n-train", "8", "model:mlp-config", "--seed", "1"], "--seed: expected before model:mlp"),
        (["theory", "times", "--psi-n", "-1"], "psi_n"),
        (["theory", "times", "--activation", "linear"], "linear"),
        (["theory", "times", "--weights", "1", "2"], "weights"),
        (["theory", "losses", "--first", "0"], "first"),
    ],
)
def test_bad_input_exits_with_2_and_says_why(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "digits.json").write_text('{"seed": ' + "9" * 5000 + "}")
    (tmp_path / "list.json").write_text("[1]")
    root = ["--root", str(tmp_path)] if arguments[0] in ("train", "sweep") else []
    assert main([*arguments, *root]) == 2
    shown = capsys.readouterr().err.strip().splitlines()
    assert message in shown[-1]
    assert sum(line.startswith("memhorizon: ") for line in shown) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--nonsense", "1"],
        ["train", "--seed", "x"],
        ["train", "--seed", "-1"],
        ["train", "--load"],
        ["train", "--optimizer.weight-decay", "nan"],
        ["train", "--schedule.n_levels", "1"],
        ["train", "--train.n_updates", "0"],
        ["train", "model:mlp"],
        ["sweep", "--seed", "a"],
        ["report"],
        ["report", "runs", "--rules.tolerance", "much"],
        ["measure"],
        ["nothing"],
    ],
)
def test_a_wrong_flag_exits_with_2(arguments, capsys, tmp_path):
    root = ["--root", str(tmp_path)] if arguments[0] in ("train", "sweep") else []
    assert main([arguments[0], *root, *arguments[1:]]) == 2
    assert capsys.readouterr().err.strip()


def test_help_of_every_command(capsys):
    for command in ("demo", "train", "sweep", "measure", "watch", "report", "figure", "reproduce", "theory"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert "usage" in capsys.readouterr().out


def test_a_record_is_drawn_by_its_path(tmp_path, capsys):
    path = tmp_path / "mine.json"
    shutil.copy(Path(__file__).resolve().parents[2] / "results" / "rates.json", path)
    assert main(["figure", str(path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "mine-times.png")]
    assert main(["figure", str(tmp_path / "other.json")]) == 2
    assert "other.json" in capsys.readouterr().err


def test_recipes_are_listed(capsys):
    assert main(["reproduce"]) == 0
    names = {line.split(":")[0] for line in capsys.readouterr().out.splitlines()[1:]}
    folder = Path(__file__).resolve().parents[2] / "src" / "memhorizon" / "recipes"
    sweeps = {name for name in names if not (folder / name).is_dir()}
    assert sweeps == {entry.name for entry in TABLE}
    assert names > sweeps


def dry(words, capsys):
    """What a command would do."""
    assert main([words[0], "--dry-run", "--json", *words[1:]]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("form", [["--load", "{}"], ["--load={}"]])
def test_flags_win_over_a_file(form, config, capsys, unmeasured):
    load = [word.format(config) for word in form]
    words = ["train", "--train.n_updates", "77", *load, "--seed", "5"]
    (run,) = dry(words, capsys)["runs"]
    wanted = replace(SMALL, seed=5, train=replace(SMALL.train, n_updates=77))
    assert from_json(json.dumps(run["config"])) == wanted
    (run,) = dry([*words, "model:mlp-config", "--model.blocks", "2"], capsys)["runs"]
    assert from_json(json.dumps(run["config"])) == replace(wanted, model=MLPConfig(width=16, blocks=2))


def test_a_sweep_around_a_file(config, capsys, unmeasured):
    words = ["sweep", "--load", config, "--n-train", "8", "12", "--over", "optimizer.name=sgd,adam"]
    shown = dry(words, capsys)
    configs = [from_json(json.dumps(run["config"])) for run in shown["runs"]]
    assert configs == grid(SMALL, n_train=(8, 12), seed=(0,), **{"optimizer.name": ("sgd", "adam")})


def test_the_axes_of_the_readme(capsys, unmeasured):
    shown = dry(["sweep", "--n-train", "16", "32", "--seed", "0", "1"], capsys)
    configs = [from_json(json.dumps(run["config"])) for run in shown["runs"]]
    assert {(c.data.n_train, c.data.subset, c.seed) for c in configs} == {
        (n, seed, seed) for n in (16, 32) for seed in (0, 1)
    }


def test_the_default_is_small(capsys, unmeasured):
    """The classes have the paper's sizes; a first command ends within minutes."""
    (run,) = dry(["train"], capsys)["runs"]
    config = from_json(json.dumps(run["config"]))
    parameters = sum(p.numel() for p in config.model.build((1, 8, 8), seed=0).parameters())
    assert parameters < 200_000
    assert config.train.n_updates * config.train.batch_size <= 100_000


def test_rules_belong_to_the_record(tmp_path, config, capsys, monkeypatch):
    monkeypatch.setattr("memhorizon.experiments.sweep.Local", Inline)  # processes: where a run fails, below
    root = tmp_path / "runs"
    words = ["sweep", "--load", config, "--n-train", "8", "12", "--root", str(root), "--quiet"]
    assert main([*words, "--rules.t", "0.3", "--rules.memorized", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "at t = 0.3" in said
    assert "f_mem 0.2" in said
    run = next(path.parent for path in root.glob("*/config.json"))
    assert main(["report", str(run), "--json"]) == 0  # of one run of the sweep: the rules of the sweep
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert (rules["t"], rules["memorized"]) == (0.3, 0.2)
    assert main(["report", str(root), "--rules.quality", "frechet", "--json"]) == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert (rules["quality"], rules["t"], rules["memorized"]) == ("frechet", None, 0.2)


def test_a_record_is_read_again_by_the_rules_that_its_runs_are(tmp_path, config, capsys, monkeypatch):
    monkeypatch.setattr("memhorizon.experiments.sweep.Local", Inline)
    root = tmp_path / "runs"
    words = ["sweep", "--load", config, "--n-train", "8", "12", "--root", str(root), "--quiet", "--json"]
    assert main(words) == 0
    usual = json.loads(capsys.readouterr().out)["rules"]
    file = tmp_path / "copy.json"
    shutil.copy(root / "record.json", file)
    flags = ["--rules.memorized", "0.3", "--json"]
    read = []
    for path in (file, root):
        assert main(["report", str(path), *flags]) == 0
        read.append(json.loads(capsys.readouterr().out))
    assert read[0]["rules"] == read[1]["rules"] == {**usual, "memorized": 0.3}
    assert [run["timescales"] for run in read[0]["runs"]] == [run["timescales"] for run in read[1]["runs"]]


def test_a_record_that_reads_no_times_takes_no_rules_and_a_table_has_no_page(tmp_path, capsys):
    for name, flags, message in (
        ("windows", [], "path: a table has no page"),
        ("windows", ["--rules.memorized", "0.3"], "rules: expected none"),
    ):
        file = shutil.copy(Path(__file__).resolve().parents[2] / "results" / f"{name}.json", tmp_path)
        assert main(["report", str(file), *flags]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", [["train"], ["train", "--dry-run"], ["sweep", "--n-train", "8", "12"]])
@pytest.mark.parametrize(
    "flags",
    [
        ["--rules.tolerance", "-1"],
        ["--rules.memorized", "1.5"],
        ["--rules.quality", "bogus"],
        ["--rules.t", "0.2"],
        ["--rules.quality", "frechet", "--measure.n-samples", "0"],
        ["--measure.diffusion_times", "0.1", "0.1000001"],
        ["--data.name", "digits", "--rules.quality", "kl"],
    ],
)
def test_what_no_page_can_be_made_of_is_refused_before_the_first_step(
    command, flags, tmp_path, config, capsys
):
    root = tmp_path / "runs"
    assert main([*command, "--load", config, *flags, "--root", str(root)]) == 2
    said = capsys.readouterr().err
    assert "rules." in said or "times: expected" in said
    assert "about" not in said
    assert not root.exists()


def test_a_record_says_when_and_how_it_was_made(tmp_path, config, capsys):
    words = ["train", "--load", config, "--root", str(tmp_path / "two words"), "--json", "--quiet"]
    assert main(words) == 0
    made = json.loads(capsys.readouterr().out)
    assert shlex.split(made["command"]) == ["memhorizon", *words]
    made_at = datetime.fromisoformat(made["made"])
    assert made_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - made_at) < timedelta(minutes=10)


def test_a_run_says_at_its_start_how_long_where_and_on_what(tmp_path, config, capsys):
    assert main(["train", "--load", config, "--root", str(tmp_path)]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert str(tmp_path / SMALL.key) in first
    assert re.search(r"about \d+ (s|min) on (the CPU|cuda|mps)", first)
    assert main(["train", "--load", config, "--root", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_a_sweep_with_a_failed_run_has_a_page_and_says_so(tmp_path, config, capsys):
    words = ["sweep", "--load", config, "--over", "optimizer.lr=1e-3,1e30", "optimizer.name=sgd"]
    assert main([*words, "--root", str(tmp_path), "--quiet"]) == 1
    shown = capsys.readouterr()
    assert f"open {tmp_path / 'report.html'}" in shown.out
    assert "1 of 2 runs failed" in shown.err
    assert (tmp_path / "report.html").is_file()


def test_watch_shows_what_cannot_be_read_and_what_has_not_begun(tmp_path, config, capsys):
    root = tmp_path / "runs"
    assert main(["train", "--load", config, "--root", str(root), "--quiet"]) == 0
    for seed, damage in ((1, ""), (2, "steps.jsonl"), (3, "config.json"), (4, "config.json")):
        run = RunDir.create(root, replace(SMALL, seed=seed))
        if damage:
            (run.path / damage).write_bytes(b"\xff\n")
    shutil.copy(root / SMALL.key / "done.json", run.path)
    (root / ".trash").mkdir()
    (root / ".trash" / "config.json").write_text("{}")
    capsys.readouterr()
    assert main(["watch", str(root), "--once"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    rows = {line.partition(": ")[0].split("-")[-2]: line for line in lines}
    assert ": done" in rows["seed0"]
    assert "has not begun" in rows["seed1"]
    assert "cannot be read" in rows["seed2"]
    assert "cannot be read" in rows["seed3"]
    assert "cannot be read" in rows["seed4"]
    assert main(["report", str(root)]) == 1
    assert "left out: " in capsys.readouterr().err


def test_the_time_left_follows_the_pace():
    """100 steps in the first second, then 10 a second."""
    log = [{"step": 100, "loss": 1.0, "seconds": 1.0}]
    log += [{"step": 100 + 10 * k, "loss": 1.0, "seconds": 1.0 + k} for k in range(1, 31)]
    assert seconds_left(log, 500) == pytest.approx(10.0)


def test_damaged_pictures_do_not_keep_the_others_from_being_drawn(tmp_path, config, capsys):
    assert main(["train", "--load", config, "--root", str(tmp_path), "--quiet"]) == 0
    (tmp_path / "text.json").write_text("hello")
    capsys.readouterr()
    assert main(["figure", "all", "--results", str(tmp_path / SMALL.key)]) == 0
    shown = capsys.readouterr()
    assert "record-timescales.png" in shown.out
    assert shown.err == ""  # the other files of a run are no records
    assert main(["figure", "all", "--results", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "record-timescales.png" in shown.out
    assert "text.json" in shown.err


def test_recipes_come_from_the_installed_checkout_only(tmp_path, monkeypatch, capsys):
    """Neither listed, nor run, nor imported: code that happens to lie in the current folder."""
    (tmp_path / "recipes").mkdir()
    code = '"""A recipe."""\nopen("ran", "w")\n\n\ndef run(out, tiny):\n    """Nothing."""\n'
    for name in ("__init__", "nice", "n_digits"):
        (tmp_path / "recipes" / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    before = list(sys.path)
    assert main(["reproduce"]) == 0
    assert "nice" not in capsys.readouterr().out
    assert sys.path == before
    assert main(["reproduce", "nice"]) == 2
    assert main(["reproduce", "n_digits", "--size", "paper", "--dry-run"]) == 0
    assert not (tmp_path / "ran").exists()


def test_a_small_network_is_computed_with_one_thread_unless_the_user_decides(monkeypatch):
    small = SMALL.model
    large = UNetConfig()  # the paper's, 4 million parameters
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(2)
    try:
        for model, threads in ((small, 1), (large, 2)):
            with fitting_threads(replace(SMALL, model=model)):
                assert torch.get_num_threads() == threads
            assert torch.get_num_threads() == 2
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        with fitting_threads(SMALL):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
