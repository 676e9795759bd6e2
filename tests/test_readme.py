"""The commands and code blocks of README and guide run as they stand.

In the fast suite a command that trains is only planned (`--dry-run`), and those that look at runs are given a
small one; `make slow` runs them all, in order.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memhorizon.cli import main
from memhorizon.datasets.split import DataConfig
from memhorizon.experiments.config import Config
from memhorizon.experiments.run import run
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.training import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = [(ROOT / page).read_text() for page in ("README.md", "docs/guide.md")]
BLOCKS = [block for text in PAGES for block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)]
PYTHON = [block for language, block in BLOCKS if language == "python"]
TRAIN = [block for block in PYTHON if "mh.run(" in block or "mh.sweep(" in block]
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("memhorizon ")
]
TRAINING = [words for words in COMMANDS if words[0] in ("train", "sweep") and "--dry-run" not in words]
AUDITS = [words for words in COMMANDS if words[0] == "audit"]
AHEAD = [words for words in COMMANDS if words[0] in ("forecast", "plan")]
SMALL = Config(
    data=DataConfig(name="mixture", n_train=8, n_holdout=16),
    model=MLPConfig(width=16, blocks=1),
    train=TrainConfig(n_updates=20),
    measure=MeasureConfig(
        snapshots=3, first=4, n_samples=10, sampler=SamplerConfig(n_solver_steps=4), repeats=1
    ),
)


def words_of(command):
    return " ".join(command)


def run_block(block, capsys):
    """Run a block; what a comment says that it prints is among what it prints."""
    with torch.random.fork_rng(devices=[]):
        exec(compile(block, "block", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    for number in re.findall(r"# (\d\.\d+ \[.*[])])$", block, re.M):
        assert number in printed


def test_there_are_commands_and_blocks_of_every_kind():
    assert (len(PYTHON), len(TRAIN)) == (8, 2)
    assert {command[0] for command in COMMANDS} >= {
        "train",
        "sweep",
        "watch",
        "report",
        "theory",
        "reproduce",
        "audit",
        "forecast",
        "plan",
    }


@pytest.mark.parametrize("block", [block for block in PYTHON if block not in TRAIN])
def test_python_blocks(block, capsys, monkeypatch):
    """None of these writes; one reads a record of the repository."""
    monkeypatch.chdir(ROOT)
    run_block(block, capsys)


def test_the_network_of_the_guide_is_called_with_levels_of_its_table(capsys):
    """Its data are standard normal: E[x_0 | x_0 + sigma noise = x] = x / (1 + sigma^2)."""
    (block,) = [block for block in PYTHON if "mh.Schedule(" in block]
    names = {}
    with torch.random.fork_rng(devices=[]):
        exec(compile(block, "block", "exec"), names)
    x = names["x"]
    for index in (0, 137, 399):
        sigma = float(names["schedule"].sigma(index))
        assert torch.allclose(names["denoiser"](x, sigma), x / (1 + sigma**2), rtol=1e-3, atol=1e-5)
    assert "tensor" in capsys.readouterr().out


@pytest.mark.parametrize("command", TRAINING, ids=words_of)
def test_commands_that_train_can_be_run(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = [command[0], "--dry-run", *command[1:]]
    assert main(planned) == 0
    assert re.search(r"\d runs? in runs: about ", capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == []


def make_folders(command):
    """Distinct pictures in the folders that a command names."""
    flags = [flag for flag in ("--samples", "--train", "--holdout", "--images") if flag in command]
    for seed, flag in enumerate(flags):
        folder = Path(command[command.index(flag) + 1])
        folder.mkdir()
        pixels = np.random.default_rng(seed).integers(0, 256, (80, 8, 8)).astype(np.uint8)
        for i, picture in enumerate(pixels):
            Image.fromarray(picture).save(folder / f"{i}.png")


@pytest.mark.parametrize("command", AUDITS, ids=words_of)
def test_commands_that_audit(command, capsys, tmp_path, monkeypatch):
    """In one view, so that no descriptor has to be learned."""
    monkeypatch.chdir(tmp_path)
    make_folders(command)
    assert main([*command, "--views", "pixels", "--quiet", "--cache", "off"]) == 0
    assert "open report.html" in capsys.readouterr().out


@pytest.mark.parametrize("command", AHEAD, ids=words_of)
def test_commands_that_look_ahead(command, capsys, tmp_path, monkeypatch):
    """One short run of one size tells nothing of a longer one, which a forecast says with status 1."""
    monkeypatch.chdir(tmp_path)
    run(SMALL, root="runs")
    make_folders(command)
    assert main(command) == (1 if command[0] == "forecast" else 0)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in TRAINING + AUDITS + AHEAD], ids=words_of)
def test_commands_that_look(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(SMALL, root="runs")
    assert main(command) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.slow
def test_all_commands_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        make_folders(command)
        assert main(command) == (1 if command[0] == "forecast" else 0), words_of(command)
        assert capsys.readouterr().out.strip(), words_of(command)


@pytest.mark.slow
@pytest.mark.parametrize("block", TRAIN, ids=["run", "sweep"])
def test_python_blocks_that_train(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_block(block, capsys)


@pytest.mark.slow
def test_the_demo(tmp_path, monkeypatch, capsys):
    """The first of the two commands of the README."""
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert "open demo/report.html" in capsys.readouterr().out
    assert (tmp_path / "demo" / "report.html").is_file()
