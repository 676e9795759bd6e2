"""Run directories of version 0.1 are read, reported and measured again; their files had other names."""

import json
import shutil

import pytest

from memhorizon.cli import main
from memhorizon.datasets.config import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, from_json, to_json
from memhorizon.experiments.record import record
from memhorizon.experiments.run import measure, run
from memhorizon.experiments.run_directory import RunDir
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.training import TrainConfig

NAME = "mixture-n8-mlp8-seed0-4cd09feb"  # its hash is that of OLD, as version 0.1 computed it
DATA = {
    "basis": "axes",
    "components": 2,
    "dim": 8,
    "eigenvalues": None,
    "exponent": 0.0,
    "grey": False,
    "kind": "DataConfig",
    "mean": 1.0,
    "n_holdout": 16,
    "n_train": 8,
    "name": "mixture",
    "path": None,
    "scale": 1.0,
    "seed": 0,
    "size": None,
    "subset": 0,
}
MEASURE = {
    "first": 4,
    "keep": True,
    "kind": "MeasureConfig",
    "n_samples": 10,
    "n_train_loss": 2048,
    "repeats": 1,
    "sampler": "ddim",
    "sampler_steps": 4,
    "snapshots": 3,
    "threshold": 0.3333333333333333,
    "times": [0.1, 0.3],
}
ADAM = {"betas": [0.9, 0.999], "kind": "OptimizerConfig", "lr": 0.001, "momentum": 0.95, "name": "adam"}
TRAIN = {"batch_size": 4, "ema": 0.0, "kind": "TrainConfig", "precision": "float32", "prediction": "noise"}
OLD = {
    "kind": "Config",
    "data": DATA,
    "measure": MEASURE,
    "model": {"blocks": 1, "kind": "MLPConfig", "steps": 1000, "width": 8},
    "optimizer": {**ADAM, "weight_decay": 0.0},
    "schedule": {"beta_end": 0.02, "beta_start": 0.0001, "kind": "linear", "steps": 1000},
    "seed": 0,
    "train": {**TRAIN, "steps": 20, "t": None},
}
NEW = Config(
    data=DataConfig(name="mixture", n_train=8, n_holdout=16),
    model=MLPConfig(width=8, blocks=1),
    train=TrainConfig(n_updates=20, batch_size=4),
    measure=MeasureConfig(
        snapshots=3,
        first=4,
        n_samples=10,
        sampler=SamplerConfig("ddim", 4),
        diffusion_times=(0.1, 0.3),
        repeats=1,
    ),
)


@pytest.fixture
def old(tmp_path):
    """A run as version 0.1 left it: the numbers are those of today's, the configuration is its own."""
    today = run(NEW, root=tmp_path / "new")
    path = tmp_path / "old" / NAME
    shutil.copytree(today.path, path)
    (path / "config.json").write_text(json.dumps(OLD, indent=1, sort_keys=True))
    return RunDir(path), today


def test_a_configuration_of_version_0_1_is_read():
    assert from_json(json.dumps(OLD)) == NEW
    assert json.loads(to_json(NEW))["version"] == 2
    assert "n_updates" in json.loads(to_json(NEW))["train"]


def test_a_run_of_version_0_1_is_reported_and_measured_again(old):
    directory, today = old
    assert directory.config == NEW
    made = record([directory])
    assert made.runs[0].key == NAME
    assert made.runs[0].config == record([today]).runs[0].config
    before = directory.measures()
    assert list(measure(directory))
    assert directory.measures() == before
    assert directory.measure_config == NEW.measure


def test_settings_of_measures_made_again_by_version_0_1_are_read(old):
    directory, _ = old
    (directory.path / "done.json").unlink()
    rows = (directory.path / "measures.jsonl").read_text()
    settings = json.dumps({"settings": {**MEASURE, "n_samples": 7}})
    (directory.path / "measures.jsonl").write_text(settings + "\n" + rows)
    assert directory.measure_config.n_samples == 7
    assert directory.measure_config.diffusion_times == (0.1, 0.3)


def test_an_edited_configuration_of_version_0_1_is_refused(old):
    directory, _ = old
    edited = {**OLD, "seed": 1}
    (directory.path / "config.json").write_text(json.dumps(edited, indent=1, sort_keys=True))
    with pytest.raises(InputError, match="named after, got a changed one"):
        _ = directory.config


def test_a_training_from_its_file_says_that_it_is_a_new_run(old, tmp_path, capsys, unmeasured):
    directory, today = old
    words = ["train", "--dry-run", "--quiet", "--root", str(tmp_path / "new"), "--load"]
    assert main([*words, str(directory.path / "config.json")]) == 0
    said = capsys.readouterr().err
    assert "is of a run of version 0.1, which is read and measured, not continued" in said
    assert f"this is a new run, {NEW.key}" in said
    assert main([*words, str(today.path / "config.json")]) == 0
    assert "version 0.1" not in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("format", "other"), ("version", 3), ("kind", "sweep")])
def test_files_of_another_format_are_refused(name, value):
    tree = {**json.loads(to_json(NEW)), name: value}
    with pytest.raises(InputError, match=f"config.{name}: expected"):
        from_json(json.dumps(tree))
