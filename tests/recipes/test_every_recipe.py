"""Every recipe is complete: its tiny twin runs and gives a record of its form, its paper twin is valid."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evidence_records import RECORDS, read
from memhorizon import recipes
from memhorizon.cli import main
from memhorizon.datasets.sources import FASHION_MNIST
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, from_json, to_json
from memhorizon.experiments.executors import Inline
from memhorizon.figures import registry
from memhorizon.figures.style import save
from memhorizon.recipes.sweeps import ENTRIES
from memhorizon.records.codec import decode
from memhorizon.records.files import load_record
from memhorizon.records.table import TableRecord

SWEEPS = tuple(ENTRIES)
TABLES = [name for name in recipes.names() if name not in ENTRIES]
WITHOUT_PICTURE = {"sequential_test"}  # a table of a few probabilities
PLANNED = [name for name in TABLES if recipes.load(name).plan("here")]


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("size", ["here", "tiny", "paper"])
def test_configurations_are_valid_and_distinct(name, size):
    configs = recipes.load(name).plan(size)
    assert len({config.key for config in configs}) == len(configs) >= 2
    assert all(from_json(to_json(config)) == config for config in configs)


@pytest.mark.parametrize("name", SWEEPS)
def test_the_tiny_twin_is_of_the_same_kind(name):
    tiny, here = (recipes.load(name).plan(size) for size in ("tiny", "here"))
    for kind in (lambda c: c.data.name, lambda c: type(c.model), lambda c: c.optimizer.name):
        assert set(map(kind, tiny)) == set(map(kind, here))


@pytest.mark.parametrize("name", [*SWEEPS, *PLANNED])
def test_the_paper_twin_is_shown_without_its_data(name, capsys):
    configs = recipes.load(name).plan("paper")
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
    assert f"Write {tmp_path}" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SWEEPS)
def test_a_law_rests_on_three_seeds_and_four_values(name):
    configs = recipes.load(name).plan("here")
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


# each way of a sweep; all if slow. That of images is tried by the command below.
TRIED = ("n_mixture_sgd", "momentum_mixture", "width_mixture")
TWINS = [pytest.param(name, marks=[] if name in TRIED else [pytest.mark.slow]) for name in SWEEPS]


@pytest.mark.parametrize("name", TWINS)
def test_the_tiny_twin_gives_a_record(name, tmp_path):
    recipe = recipes.load(name)
    configs = recipe.plan("tiny")
    if configs[0].data.name == "fashion-mnist" and not Path(FASHION_MNIST).is_dir():
        pytest.skip(f"{FASHION_MNIST}: Debian's dataset-fashion-mnist is not installed")
    made = recipe.reproduce(tmp_path, "tiny", root=tmp_path / "runs", executor=Inline())
    check_tiny(load_record(made.path), recipe)
    pictures = registry.of(load_record(made.path), made.runs)
    assert {"timescales", "losses"} <= set(pictures)
    if name == "n_mixture_sgd":  # of points, which have no figure of samples
        for label, picture in pictures.items():
            save(picture.plot(), tmp_path / f"{label}.svg")


def check_tiny(record, recipe):
    """It is the record of the tiny twin, and says so."""
    assert [run.key for run in record.runs] == [config.key for config in recipe.plan("tiny")]
    assert record.claim == recipe.claim
    assert record.size == "tiny"
    assert record.seconds is not None
    assert record.command == f"memhorizon reproduce {recipe.name} --size tiny"


MISSING = {  # (seed, width), as their notes say
    "threshold_digits": [(1, 8), (2, 8)] * 3,
    "window_fashion_28": [(0, 16), (1, 16), (1, 16), (1, 16), (2, 16), (2, 16), (2, 16), (2, 16)],
    "width_window_digits": [(1, 24), (1, 32), (2, 24), (2, 32)],
}


@pytest.mark.parametrize("name", SWEEPS)
def test_the_committed_record_is_of_the_runs_of_the_recipe(name):
    committed = [decode(run.config, Config) for run in read(name).runs]
    plan = recipes.load(name).plan("here")
    assert committed == [config for config in plan if config in committed]
    missing = [(config.seed, config.model.width) for config in plan if config not in committed]
    assert sorted(missing) == sorted(MISSING.get(name, []))


@pytest.mark.parametrize("name", TABLES)
def test_the_committed_table_has_the_columns_of_its_rows_and_is_drawn_by_its_recipe(name):
    recipe = recipes.load(name)
    committed = load_record(recipe.record_path(RECORDS, "here"))
    assert isinstance(committed, TableRecord)
    assert committed.claim in ("", recipe.claim)  # records of version 1 had none
    assert {entry for row in committed.rows for entry in row} <= set(committed.columns)
    assert set(recipes.figures_of(committed)) == set(recipe.figures)
    assert recipe.figures or name in WITHOUT_PICTURE


def test_names_are_claims_and_an_unknown_one_is_refused():
    assert len(recipes.names()) == len(set(recipes.names())) > 30
    with pytest.raises(
        InputError, match=r"name: expected a recipe \(did you mean n_digits\?\), got 'n_digit'"
    ):
        recipes.load("n_digit")
    with pytest.raises(InputError, match=r"name: expected a recipe, got 'zzz'; .* without a name lists them"):
        recipes.load("zzz")


def test_a_recipe_says_which_records_it_misses(tmp_path):
    with pytest.raises(InputError, match=r"lr_sgd_mixture.json, momentum_mixture.json, which rates reads"):
        recipes.load("rates").run(tmp_path, records=tmp_path)


def test_a_size_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match='size: expected one of "here", "tiny", "paper", got \'small\''):
        recipes.load("rates").run(tmp_path, "small", records=RECORDS)


def test_the_recipes_are_listed_with_claim_and_figure(capsys):
    assert main(["reproduce"]) == 0
    about, *listed = capsys.readouterr().out.splitlines()
    assert about.startswith("Each recipe tests a claim")
    made = [recipes.load(name) for name in recipes.names()]
    figure = [f" ({recipe.paper_figure})" if recipe.paper_figure else "" for recipe in made]
    assert listed == [f"{r.name}: {r.claim}{where}" for r, where in zip(made, figure, strict=True)]


def test_one_recipe_is_imported_without_the_others():
    code = (
        "import sys; from memhorizon import recipes; recipes.load('rates'); "
        "assert not [n for n in sys.modules if n.startswith('memhorizon.recipes.theory')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reproduce_draws_what_it_names(tmp_path, capsys, monkeypatch):
    """The whole command, on images, in this process."""
    monkeypatch.setattr("memhorizon.experiments.sweep.Local", Inline)
    out, root = tmp_path / "results", tmp_path / "runs"
    words = ["--size", "tiny", "--out", str(out), "--root", str(root), "--quiet"]
    assert main(["reproduce", "n_digits", *words]) == 0
    check_tiny(load_record(out / "n_digits-tiny.json"), recipes.load("n_digits"))
    named = [line for line in capsys.readouterr().out.splitlines() if line.endswith(".png")]
    assert len(named) >= 3
    assert {str(path) for path in out.glob("*.png")} == set(named)


@pytest.mark.parametrize("part", [None, 1, ["run"], {"run": 1}, "\x1b[31m"])
def test_a_row_of_no_known_part_is_refused_where_it_stands(part):
    record = load_record(recipes.load("rates").record_path(RECORDS, "here"))
    first, *rest = record.rows
    damaged = replace(record, rows=({**first, "part": part}, *rest))
    with pytest.raises(InputError, match=r"rows\[0\].part: expected one of") as raised:
        recipes.figures_of(damaged)
    assert str(raised.value).isprintable()
