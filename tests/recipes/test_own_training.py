"""Recipes with training of their own: tiny twins, parts that are kept, pictures."""

import json
from functools import partial

import pytest

from evidence_records import drawn, read
from memhorizon.errors import InputError
from memhorizon.experiments import recipes
from memhorizon.figures import beyond
from memhorizon.figures.reruns import reruns
from memhorizon.figures.threshold import threshold

NAMES = ("augmentation_digits", "halves_digits", "guidance_mixture", "threshold_mixture", "reruns")
RECIPES = tuple(recipes.load(name) for name in NAMES)
DRAWN = (beyond.augmentation, beyond.halves, beyond.guidance, threshold, reruns)
kept = __import__("memhorizon.recipes.parts", fromlist=["parts"])


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


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize("bad", [[], {}, {"name": "steps", "rows": []}])
def test_another_record_is_refused(draw, bad):
    with pytest.raises(InputError, match="expected the theory record"):
        draw(bad)


def test_a_part_is_made_once_and_anew_under_other_settings(tmp_path):
    make = partial(json.loads, '{"found": [1.5, Infinity]}')

    def once(settings):
        return kept.parts(tmp_path / "parts", {"one": (settings, make)}, processes=1)

    first = once({"steps": 3, "scales": (0.0, 1.0)})
    assert first == [{"settings": {"steps": 3, "scales": [0.0, 1.0]}, "found": [1.5, None]}]
    path = tmp_path / "parts" / "one.json"
    path.write_text(path.read_text().replace("1.5", "2.5"))  # what is there is read, not made again
    assert once({"steps": 3, "scales": (0.0, 1.0)})[0]["found"] == [2.5, None]
    assert once({"steps": 4, "scales": (0.0, 1.0)})[0]["found"] == [1.5, None]


def test_parts_keep_their_order_and_what_was_done_survives_a_failure(tmp_path):
    jobs = {name: ({}, partial(json.loads, f'{{"name": "{name}"}}')) for name in "cab"}
    bad = {**jobs, "bad": ({}, partial(json.loads, "no JSON"))}
    with pytest.raises(InputError, match="bad: JSONDecodeError"):
        kept.parts(tmp_path, bad, processes=1)  # one process: the three before it are done
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "b", "c"}
    assert [part["name"] for part in kept.parts(tmp_path, jobs)] == ["c", "a", "b"]


def test_a_part_is_the_same_in_another_process(tmp_path):
    recipe = RECIPES[NAMES.index("threshold_mixture")]
    made = json.loads(recipe.run(tmp_path, tiny=True).read_text())
    for width, configs in recipe.stacks("tiny").items():
        here = recipe.train_stack(configs)["curves"]
        own = [row for row in made["rows"] if row["part"] == "run" and row["width"] == width]
        for curve, row in zip(here, own, strict=True):
            assert curve["count"] == row["count"]
            assert curve["kl"] == pytest.approx(row["kl"], rel=1e-6)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_committed_record_is_drawn(recipe, tmp_path):
    record = read(recipe)
    assert not record["tiny"]
    drawn(record, tmp_path)
