"""Every recipe is complete: its tiny twin runs and gives a record of its form, its paper twin is valid."""

import json
import math
from pathlib import Path

import pytest

from memhorizon import figures
from memhorizon.cli import main
from memhorizon.datasets.sources import FASHION_MNIST
from memhorizon.experiments import recipes
from memhorizon.experiments.config import from_json, to_json
from memhorizon.experiments.executors import Inline
from memhorizon.experiments.record import record
from memhorizon.experiments.sweep import sweep

RESULTS = Path(__file__).parents[2] / "results"
PLANNED = [name for name in recipes.find() if hasattr(recipes.load(name), "planned")]
SWEEPS = [name for name in recipes.find() if hasattr(recipes.load(name), "configs")]


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("size", ["here", "tiny", "paper"])
def test_configurations_are_valid_and_distinct(name, size):
    configs = recipes.load(name).configs(size)
    assert len({config.key for config in configs}) == len(configs) >= 2
    assert all(from_json(to_json(config)) == config for config in configs)


@pytest.mark.parametrize("name", SWEEPS)
def test_the_tiny_twin_is_of_the_same_kind(name):
    tiny, here = (recipes.load(name).configs(size) for size in ("tiny", "here"))
    for kind in (lambda c: c.data.name, lambda c: type(c.model), lambda c: c.optimizer.name):
        assert set(map(kind, tiny)) == set(map(kind, here))


@pytest.mark.parametrize("name", [*SWEEPS, *PLANNED])
def test_the_paper_twin_is_shown_without_its_data(name, capsys):
    recipe = recipes.load(name)
    configs = (recipe.configs if name in SWEEPS else recipe.planned)("paper")
    assert main(["reproduce", name, "--size", "paper", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert all(config.key in shown for config in configs)
    assert f"{len(configs)} runs" in shown


@pytest.mark.parametrize("name", [*PLANNED, "theory_steps"])
def test_what_was_not_made_for_the_paper_size_is_not_run_at_another(name, capsys, tmp_path):
    assert main(["reproduce", name, "--size", "paper", "--out", str(tmp_path)]) == 2
    assert "expected here or tiny, got paper" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*PLANNED, "theory_steps", "noise_levels"])
def test_a_dry_run_runs_nothing(name, capsys, tmp_path):
    assert main(["reproduce", name, "--out", str(tmp_path), "--dry-run"]) == 0
    assert "Write OUT/" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SWEEPS)
def test_a_law_rests_on_three_seeds_and_four_values(name):
    configs = recipes.load(name).configs("here")
    assert len({config.seed for config in configs}) >= 3
    assert len({math.prod(values) for values in _points(configs)}) >= 3


def _points(configs):
    for config in configs:
        yield (
            config.data.n_train,
            getattr(config.model, "width", 1),
            config.optimizer.lr / (1 - config.optimizer.momentum),
            1 + config.train.ema + getattr(config.model, "dropout", 0.0) + config.optimizer.weight_decay,
            config.train.batch_size or 1,
        )


@pytest.mark.parametrize("name", SWEEPS)
def test_the_tiny_twin_gives_a_record(name, tmp_path):
    recipe = recipes.load(name)
    configs = recipe.configs("tiny")
    if configs[0].data.name == "fashion-mnist" and not Path(FASHION_MNIST).is_dir():
        pytest.skip(f"{FASHION_MNIST}: Debian's dataset-fashion-mnist is not installed")
    made = record(sweep(configs, root=tmp_path, executor=Inline()), recipe.RULES, name=name)
    assert [run["key"] for run in made["runs"]] == [config.key for config in configs]
    assert {"clocks", "losses"} <= set(figures.of(made))
    _has_the_form_of(json.loads((RESULTS / f"{name}.json").read_text()), made)


def _has_the_form_of(committed, made):
    written = {"claim", "command", "seconds", "size"}  # by the command
    assert set(committed) - written == set(made) - written
    later = {"data"}  # facts of the items: runs of before 2026-11-25 did not keep them
    assert {frozenset(run) - later for run in committed["runs"]} == {
        frozenset(run) - later for run in made["runs"]
    }


@pytest.mark.parametrize("name", SWEEPS)
def test_the_committed_record_is_of_the_runs_of_the_recipe(name):
    committed = json.loads((RESULTS / f"{name}.json").read_text())
    assert [run["key"] for run in committed["runs"]] == [c.key for c in recipes.load(name).configs("here")]


@pytest.mark.parametrize("name", [name for name in recipes.find() if hasattr(recipes.load(name), "COLUMNS")])
def test_the_committed_table_has_the_columns_of_the_recipe(name):
    folder = RESULTS / "theory" if name.startswith("theory_") else RESULTS
    committed = json.loads((folder / f"{name.removeprefix('theory_')}.json").read_text())
    assert committed["columns"] == recipes.load(name).COLUMNS


@pytest.mark.parametrize("name", ["n_digits", "lr_mixture"])
def test_reproduce_draws_what_it_names(name, tmp_path, capsys):
    """The whole command, once on images and once on points."""
    out, root = tmp_path / "results", tmp_path / "runs"
    assert main(["reproduce", name, "--size", "tiny", "--out", str(out), "--root", str(root)]) == 0
    made = json.loads((out / f"{name}-tiny.json").read_text())
    assert made["claim"] == recipes.load(name).CLAIM
    assert {"runs", "rules", "laws", "collapse", "command", "seconds"} <= set(made)
    named = [line for line in capsys.readouterr().out.splitlines() if line.endswith(".png")]
    assert len(named) >= 3
    assert {str(path) for path in out.glob("*.png")} == set(named)
