"""All recipes by one command: their order, what they would take, and one that fails."""

import re
import shutil
from pathlib import Path

import pytest

from memhorizon import recipes
from memhorizon.cli import main

RECORDS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture
def only(monkeypatch):
    """Let some recipes be all that there are."""

    def choose(*names):
        chosen = [recipes.load(name) for name in names]
        monkeypatch.setattr(recipes, "in_order", lambda: chosen)

    return choose


def test_what_a_recipe_reads_is_made_before():
    made = set()
    for recipe in recipes.in_order():
        assert set(recipe.reads) <= made, recipe.name
        made.add(recipe.path or recipe.name)
    assert len(made) == len(recipes.names())


def test_the_plan_names_every_recipe_that_has_the_size(capsys):
    assert main(["reproduce", "all", "--dry-run", "--size", "paper"]) == 0
    lines = capsys.readouterr().out.splitlines()
    sweeps = [name for name in recipes.names() if recipes.load(name).is_sweep]
    assert sorted(line.split(":")[0] for line in lines[:-1]) == sweeps
    assert lines[-1] == f"{len(sweeps)} recipes. Each is a piece of its own: memhorizon reproduce NAME"


def test_the_plan_adds_up_what_the_runs_take_here(only, capsys, tmp_path):
    only("n_mixture_adam", "rates")
    words = ["--dry-run", "--quiet", "--root", str(tmp_path), "--records", str(RECORDS)]
    assert main(["reproduce", "all", *words]) == 0
    shown = capsys.readouterr()
    runs, table, total = shown.out.splitlines()
    count = len(recipes.load("n_mixture_adam").plan("here"))
    (about,) = re.findall(rf"^n_mixture_adam: {count} runs, about (\S+ \w+)\. ", runs)
    rates = recipes.load("rates")
    assert table == f"rates: {rates.takes} It reads {len(rates.reads)} records of full size."
    assert total.startswith(f"2 recipes; their runs about {about} in all, what the 1 without runs take")
    assert not list(tmp_path.iterdir())


def test_the_plan_of_tiny_recipes_times_nothing_and_names_records_that_are_missing(only, capsys, tmp_path):
    only("n_mixture_adam", "rates")
    (tmp_path / "lr_sgd_mixture.json").write_text("{}")
    assert main(["reproduce", "all", "--dry-run", "--size", "tiny", "--records", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    runs, table, total = shown.out.splitlines()
    assert runs == "n_mixture_adam: 2 runs. Some seconds."
    others = ", ".join(name for name in recipes.load("rates").reads if name != "lr_sgd_mixture")
    assert table.startswith("rates: Some seconds. It reads ")
    assert table.endswith(f" of full size; {tmp_path} does not have {others}.")
    assert total == "2 recipes. Each is a piece of its own: memhorizon reproduce NAME"
    assert shown.err == ""
    assert main(["reproduce", "rates", "--dry-run", "--size", "tiny", "--records", str(tmp_path)]) == 0
    assert f"does not have {others}" in capsys.readouterr().out


def test_a_recipe_that_fails_does_not_stop_the_others(only, capsys, tmp_path):
    only("noise_levels", "rates")  # the first one misses a record
    records = tmp_path / "records"
    records.mkdir()
    for name in recipes.load("rates").reads:
        shutil.copy(RECORDS / f"{name}.json", records)
    places = ["--records", str(records), "--out", str(tmp_path / "out"), "--root", str(tmp_path / "runs")]
    assert main(["reproduce", "all", "--size", "tiny", "--quiet", *places]) == 1
    shown = capsys.readouterr()
    assert f"2 of 2, rates: {recipes.load('rates').claim}" in shown.out
    assert "which noise_levels reads" in shown.err
    assert shown.err.rstrip().endswith("1 of 2 recipes failed, or runs of them: noise_levels")
    assert (tmp_path / "out" / "rates-tiny.json").is_file()
