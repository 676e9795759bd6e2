"""Recipes that train by themselves: tiny twins, parts that are kept, pictures."""

import math
from functools import partial

import pytest
import torch

from evidence_records import RECORDS, drawn
from memhorizon import recipes
from memhorizon.errors import InputError
from memhorizon.experiments.executors import Inline, Local
from memhorizon.experiments.recipe import Progress, Request
from memhorizon.recipes.parts import Part, do_parts
from memhorizon.recipes.threshold_mixture import numbers as threshold
from memhorizon.recipes.threshold_mixture.stack import train_stack
from memhorizon.records.files import load_record
from memhorizon.results import Estimate

NAMES = ("augmentation_digits", "halves_digits", "guidance_mixture", "threshold_mixture", "reruns")


@pytest.mark.parametrize("name", NAMES)
def test_the_tiny_twin_has_the_form_of_the_record_and_is_drawn(name, tmp_path):
    recipe = recipes.load(name)

    def run():
        return recipe.run(tmp_path, "tiny", root=tmp_path / "runs", records=RECORDS, executor=Inline())

    path = run()
    assert path == tmp_path / f"{name}-tiny.json"
    made = load_record(path)
    assert made.tiny
    assert made.claim == recipe.claim
    assert made.command == f"memhorizon reproduce {name} --size tiny"
    for row in made.rows:
        assert set(row) <= set(made.columns)
    drawn(made, tmp_path)
    again = load_record(run())  # from the parts that are there
    assert [row for row in again.rows if row["part"] == "run"] == [r for r in made.rows if r["part"] == "run"]


def estimate(low, device, value=1.5):
    assert device.type == "cpu"
    return Estimate(value, low, math.inf)


def request(folder, **changes):
    return Request("tiny", folder, RECORDS, **{"executor": Inline(), **changes})


def test_a_part_is_made_once_and_anew_under_other_settings(tmp_path):
    def once(settings):
        part = Part("one", settings, partial(estimate, 0.0))
        return do_parts([part], Estimate, request(tmp_path))[0].found

    assert once({"steps": 3, "scales": (0.0, 1.0)}) == Estimate(1.5, 0.0, math.inf)
    path = tmp_path / "one.json"
    path.write_text(path.read_text().replace("1.5", "2.5"))  # what is there is read, not made again
    assert once({"steps": 3, "scales": (0.0, 1.0)}) == Estimate(2.5, 0.0, math.inf)
    assert once({"steps": 4, "scales": (0.0, 1.0)}) == Estimate(1.5, 0.0, math.inf)


def test_parts_keep_their_order_and_what_was_done_survives_a_failure(tmp_path):
    seen: list[Progress] = []
    parts = [Part(name, {}, partial(estimate, i / 2)) for i, name in enumerate("cab")]
    bad = Part("bad", {}, partial(estimate, 9.0))  # its interval begins above its value
    with pytest.raises(InputError, match=r"1 of 4 parts failed.*\n  bad: "):
        do_parts([*parts, bad], Estimate, request(tmp_path))
    assert {path.stem for path in tmp_path.glob("*.json")} == {"a", "b", "c"}

    def watch(events):
        for event in events:
            seen.append(event)
            yield event

    done = do_parts(parts, Estimate, request(tmp_path, watch=watch))
    assert [part.found.low for part in done] == [0.0, 0.5, 1.0]
    assert seen[-1] == Progress(3, 3)


def test_a_part_is_the_same_in_another_process(tmp_path):
    (width, configs), *_ = threshold.stacks("tiny").items()
    part = threshold.part_of(width, configs)
    (there,) = do_parts([part], threshold.Stack, request(tmp_path, executor=Local(1)))
    here = train_stack(configs, torch.device("cpu"))
    for one, other in zip(here.networks, there.found.networks, strict=True):
        assert [seen.count for seen in one.seen] == [seen.count for seen in other.seen]
        kl = [seen.kl for seen in other.seen]
        assert [seen.kl for seen in one.seen] == pytest.approx(kl, rel=1e-6)
