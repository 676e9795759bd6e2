"""From a folder of images to an answer: facts, pilots, their lengths, runs that go on, the page."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import memhorizon as mh
from markup import assert_clean
from memhorizon.errors import InputError
from memhorizon.experiments.planning import (
    Settings,
    guessed_length,
    next_length,
    rounded,
    seeds_of,
    sizes_of,
    source_of,
)
from memhorizon.forecasting.pilots import pilots_of_rows
from memhorizon.records.codec import encode_object
from memhorizon.records.files import load_record, to_plain
from memhorizon.records.plan import PlannedPilot
from memhorizon.report import report

COUNT = 120
SIDE = 6
RANK = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures that vary in three directions, of which the last two are equal."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(RANK, SIDE * SIDE))
    pixels = 128 + 25 * np.clip(rng.normal(size=(COUNT, RANK)), -2, 2) @ directions / RANK**0.5
    pixels = np.clip(pixels, 0, 255).astype(np.uint8).reshape(COUNT, SIDE, SIDE)
    pixels[-1] = pixels[-2]
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(root / f"{i:03d}.png")
    return root


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    return mh.plan(folder, root=tmp_path_factory.mktemp("plan") / "here", minutes=1e6, device="cpu")


@pytest.fixture
def small(made, tmp_path):
    """The same with pilots of a second: a small MLP, few snapshots."""
    measure = mh.MeasureConfig(
        snapshots=4, first=4, n_samples=20, sampler=mh.SamplerConfig(n_solver_steps=3), repeats=1
    )
    data = replace(made.config.data, n_holdout=20)
    config = replace(made.config, model=mh.MLPConfig(width=8, blocks=1), measure=measure, data=data)
    pilots = (PlannedPilot(16, 1, 12, 1.0), PlannedPilot(32, 1, 16, 1.0))
    return mh.Plan(replace(made.answer, pilots=pilots), config, tmp_path / "plan")


def test_facts_of_the_images(made):
    facts = made.answer.facts
    assert (facts.n, facts.shape, facts.duplicates) == (COUNT, (1, SIDE, SIDE), 1)
    assert facts.main_directions <= RANK
    assert facts.participation <= RANK + 0.2  # but for rounding to whole grey values
    assert facts.dimension.low < RANK + 1


def test_the_theory_says_how_far_it_was_off(made):
    guess = made.answer.theory
    assert guess is None or (guess.off > 10 and guess.psi_n == pytest.approx(COUNT / SIDE**2))


def test_the_pilots_fit_into_the_minutes(made):
    assert [pilot.n_train for pilot in made.pilots] == [16, 32]
    assert made.answer.wall_seconds <= 60 * made.answer.minutes
    assert all(pilot.seconds > 0 for pilot in made.pilots)
    assert made.answer.wall_seconds <= sum(pilot.seconds for pilot in made.pilots)
    assert made.forecast is None


def test_the_same_call_finds_the_plan_again(made, folder):
    made._keep()
    again = mh.plan(folder, root=made.root)
    assert to_plain(again.answer) == to_plain(made.answer)
    with pytest.raises(mh.InputError, match="holds a plan of other images or settings"):
        mh.plan(folder, root=made.root, width=32)


def test_other_minutes_plan_anew_until_a_pilot_has_begun(made, folder, tmp_path):
    kept = replace(made, root=tmp_path / "plan", answer=replace(made.answer, minutes=7.0, name="kept"))
    kept._keep()
    assert mh.plan(folder, root=kept.root).answer.name == "kept"
    assert mh.plan(folder, root=kept.root, minutes=7).answer.name == "kept"
    anew = mh.plan(folder, root=kept.root, minutes=1e6, device="cpu")
    assert (anew.answer.name == "kept", anew.answer.minutes) == (False, 1e6)
    (kept.root / "run").mkdir()
    (kept.root / "run" / "config.json").write_text("{}")
    assert mh.plan(folder, root=kept.root, minutes=1e6).answer.minutes == 7


def test_a_plan_of_other_images_says_what_differs(made, folder, tmp_path):
    """One picture replaced, then the folder renamed, then a picture more; each in one line."""
    pictures = shutil.copytree(folder, tmp_path / "pictures")
    data = replace(made.config.data, path=str(pictures))
    config = replace(made.config, data=data)
    answer = replace(made.answer, config=encode_object(config))
    mh.Plan(answer, config, tmp_path / "plan")._keep()
    assert mh.plan(pictures, root=tmp_path / "plan").answer.facts == made.answer.facts
    renamed = pictures.rename(tmp_path / "renamed")
    with pytest.raises(mh.InputError, match=r"data\.path '.*pictures', now '.*renamed'; it resumes where"):
        mh.plan(renamed, root=tmp_path / "plan")
    renamed.rename(pictures)
    Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)).save(pictures / "005.png")
    with pytest.raises(mh.InputError, match="pictures have changed since") as raised:
        mh.plan(pictures, root=tmp_path / "plan")
    assert "sha256" not in str(raised.value)
    shutil.copy(pictures / "006.png", pictures / "more.png")
    with pytest.raises(mh.InputError, match=f"{COUNT} images, now {COUNT + 1}"):
        mh.plan(pictures, root=tmp_path / "plan")


@pytest.mark.parametrize(
    ("edited", "words"),
    [
        ({"n_train": 70_000}, "expected at most 90 images for all seeds together .* got 2 times 70,000"),
        ({"seeds": 0}, "seeds: expected a whole number of at least 1"),
        ({"n_updates": -5}, "n_updates: expected a whole number of at least 1"),
    ],
)
def test_a_plan_that_was_edited_is_held_to_the_images(made, folder, tmp_path, edited, words):
    first = replace(made.pilots[0], **edited)
    answer = replace(made.answer, pilots=(first, *made.pilots[1:]))
    mh.Plan(answer, made.config, tmp_path)._keep()
    with pytest.raises(mh.InputError, match=rf"plan\.json: pilots\[0\].*{words}"):
        mh.plan(folder, root=tmp_path)


def test_pilots_run_and_are_not_run_again(small):
    """Nothing copies in a dozen steps: a size is tried twice, the second time longer."""
    found = small.run(executor=mh.Inline())
    assert found.forecast.status is mh.Status.ALL_CENSORED
    runs = mh.Sweep.of(small.root).runs
    steps = sorted({run.config.train.n_updates for run in runs})
    assert steps[:2] == [12, 48]
    before = {run.path: (run.path / "steps.jsonl").stat().st_mtime_ns for run in runs}
    small.run(executor=mh.Inline())
    assert {path: (path / "steps.jsonl").stat().st_mtime_ns for path in before} == before
    assert load_record(small.root / "plan.json").forecast.n_train == COUNT
    assert small.read().answer.seconds > 0


def test_lengths_follow_what_has_run(made):
    settings = Settings(made.config, COUNT)
    rows = [{"n": n, "time": 10 * n, "batch_size": 32, "width": 16, "lr": 2e-3} for n in (16, 32)]
    pilots = pilots_of_rows(rows * 2)
    late = next_length(pilots, 64, settings)
    assert 10 * 32 * 2 < late < 10 * 32 * 6  # between n and n^2.6, and late enough for nine of ten
    assert guessed_length(64, made.config) == rounded(1000 * 2 * 2**1.5)
    bounds = [
        replace(pilot, n_updates=100) for pilot in pilots_of_rows([row | {"censored": True} for row in rows])
    ]
    assert next_length(bounds, 32, settings) == 400


def test_an_array_is_planned_as_the_folder_that_holds_it(folder, made, tmp_path):
    """The same facts; pilots read what was written, the same call resumes with it."""
    pixels = mh.load_images(folder).images.numpy()
    found = mh.plan(pixels, root=tmp_path / "plan", minutes=1e6, device="cpu")
    assert replace(found.answer.facts, source=made.answer.facts.source) == made.answer.facts
    assert mh.load_split(found.config.data).train.shape == (16, 1, SIDE, SIDE)
    found._keep()
    again = mh.plan(pixels, root=found.root)
    assert to_plain(again.answer) == to_plain(found.answer)
    with pytest.raises(mh.InputError, match=r"^root: .* holds a plan of other images"):
        mh.plan(pixels[::-1].copy(), root=found.root)


def test_images_of_every_kind_are_kept_as_they_are(folder, tmp_path):
    images = mh.load_images(folder)
    given = {"tensor": images.images, "set": images, "pictures": sorted(folder.iterdir())}
    for name, items in given.items():
        place = source_of(items, tmp_path / name)
        assert torch.equal(mh.load_images(place).images, images.images)
    assert source_of(folder, tmp_path / "path") == folder
    assert not (tmp_path / "path").exists()


def test_sizes_leave_room_for_seeds_and_held_out_images(made):
    data = replace(made.config.data, n_holdout=75)
    assert sizes_of(replace(made.config, data=data), 300) == [16, 32, 64, 128]
    small = replace(made.config, data=replace(data, n_holdout=16))
    assert sizes_of(small, 64) == [16, 32]
    assert [seeds_of(small, size, 64) for size in (16, 32)] == [2, 1]


def test_the_page_says_what_the_plan_says(made, tmp_path):
    page = made.to_html(tmp_path / "plan.html").read_text()
    assert_clean(page)
    assert f"{COUNT} images of 1 x {SIDE} x {SIDE}, 1 duplicates" in page
    rows = [{"n": n, "time": 10 * n + s, "batch_size": 32} for n in (16, 32) for s in (0, 9)]
    answered = replace(made.answer, forecast=mh.forecast(rows, n_train=COUNT), seconds=90.0)
    page = report(answered)
    assert f"A run of n = {COUNT} begins to copy after" in page
    assert "the pilots took 1.5 min" in page


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"minutes": 0}, "^minutes: expected"),
        ({"width": 0}, "^width: expected"),
        ({"batch_size": 0}, "^batch_size"),
        ({"width": 4}, r"^width, groups: .* in 8 equal groups, got 4 channels \(width 4\)"),
        ({"root": __file__}, "^root: expected a folder, got the file"),
        ({"root": f"{__file__}/plan"}, "^root: cannot make the folder .*: Not a directory"),
        ({"root": "x" * 300}, "^root: cannot make the folder .*: File name too long"),
    ],
)
def test_what_is_asked_is_checked(wrong, words, folder):
    with pytest.raises(mh.InputError, match=words):
        mh.plan(folder, **wrong)


def test_too_few_images(tmp_path):
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    with pytest.raises(mh.InputError, match="expected at least 64, got 3"):
        mh.plan(tmp_path, root=tmp_path / "plan")


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (
            np.tile(np.arange(64).reshape(8, 8), (80, 1, 1)),
            "images: expected pictures that differ, got 80 times the same one",
        ),
        (np.arange(80).reshape(80, 1, 1), "images: expected pictures of 2 x 2 pixels or more, got 1 x 1"),
    ],
)
def test_pictures_that_nothing_can_be_learned_from_are_refused(pixels, message, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, picture in enumerate(pixels.astype(np.uint8)):
        Image.fromarray(picture).save(folder / f"{i:03d}.png")
    with pytest.raises(InputError, match=message):
        mh.plan(folder, root=tmp_path / "plan")
