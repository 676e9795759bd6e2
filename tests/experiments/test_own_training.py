"""Recipes with training of their own: tiny twins, parts that are kept, pictures."""

import json
import math

import pytest

from evidence_records import drawn, read
from memhorizon.experiments import recipes
from memhorizon.figures import beyond
from memhorizon.results import InputError

RECIPES = tuple(recipes.load(name) for name in ("augmentation_digits", "halves_digits", "guidance_mixture"))
kept = __import__("recipes.parts", fromlist=["parts"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_tiny_twin_has_the_form_of_the_record_and_is_drawn(recipe, tmp_path):
    path = recipe.run(tmp_path, tiny=True)
    assert path == tmp_path / f"{recipe.NAME}-tiny.json"
    made = json.loads(path.read_text())
    assert made["tiny"]
    assert {"columns", "command", "machine", "settings", "summary", "versions"} <= set(made)
    for row in made["rows"]:
        assert set(row) <= set(recipe.COLUMNS)
    drawn(made, tmp_path)
    before = [row for row in made["rows"] if row["part"] == "run"]
    again = json.loads(recipe.run(tmp_path, tiny=True).read_text())  # from the parts that are there
    assert [row for row in again["rows"] if row["part"] == "run"] == before


@pytest.mark.parametrize("draw", [beyond.augmentation, beyond.halves, beyond.guidance])
@pytest.mark.parametrize("bad", [[], {}, {"name": "steps", "rows": []}])
def test_another_record_is_refused(draw, bad):
    with pytest.raises(InputError, match="expected the theory record"):
        draw(bad)


def test_a_part_is_made_once_and_anew_under_other_settings(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"found": [1.5, math.inf]}

    def once(settings):
        return list(kept.parts(tmp_path / "parts", {"one": (settings, make)}))

    first = once({"steps": 3, "scales": (0.0, 1.0)})
    assert first == [{"settings": {"steps": 3, "scales": [0.0, 1.0]}, "found": [1.5, None]}]
    assert once({"steps": 3, "scales": (0.0, 1.0)}) == first
    assert len(calls) == 1
    once({"steps": 4, "scales": (0.0, 1.0)})
    assert len(calls) == 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_committed_record_is_drawn(recipe, tmp_path):
    record = read(recipe)
    assert not record["tiny"]
    drawn(record, tmp_path)
