"""The recipe on duplicates: its tiny twin, its statistics on planted numbers, its picture, its record."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from memhorizon import figures
from memhorizon.cli import main
from memhorizon.datasets.split import load_split
from memhorizon.errors import InputError
from memhorizon.experiments import recipes
from memhorizon.experiments.record import plain
from memhorizon.results import Time

first_digits = recipes.load("first_digits")
statistics = __import__("memhorizon.recipes.first_digits_statistics", fromlist=["auc"])

RECORD = Path(__file__).parents[2] / "results" / "first_digits.json"
STEP = np.unique(np.geomspace(100, 4000, 14).round()).tolist()
TOTAL, EXPONENT, SCATTER = 2000, -0.5, 0.25


def time(value, status="observed"):
    ends = {"observed": (value, value), "not reached": (value, math.inf), "before first": (0.0, value)}[
        status
    ]
    return Time(value, *ends, status, "planted")


def planted(seeds=5):
    """Images whose copies reach half of k/N at 1000 k^EXPONENT e^z, where z decides what `nearest` shows."""
    generator, entries, found = np.random.default_rng(3), 44, []
    for seed in range(seeds):
        copies, images = first_digits.copies_of(seed), []
        z = generator.normal(size=len(copies)) * SCATTER
        for i, k in enumerate(copies):
            half = 1000 * k**EXPONENT * math.exp(z[i])
            share = k / entries / (1 + (half / np.array(STEP)) ** 4)
            counts = generator.binomial(TOTAL // 2, share, size=(2, len(STEP)))
            noise = generator.normal(size=2)
            image = {
                "image": i,
                "copies": int(k),
                "planted": half,
                "nearest": seed - z[i],
                "center": noise[0],
            }
            image |= {"sparse": z[i], "early_loss": noise[1], "count_by_ratio": counts}
            images.append(image | {"count_by_distance": counts})
        own = {"seed": seed, "step": STEP, "samples": TOTAL, "entries": entries, "early_step": 100}
        found.append({**own, "null": {"count_by_ratio": [0, 9]}, "images": images})
    for seed in found:
        for image in seed["images"]:
            image["times"] = statistics.times_of(image, seed)
    return found


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "DRAWS", 200)
        seeds = planted()
        return seeds, statistics.summarise(seeds)


def test_the_tiny_twin_has_the_form_of_the_record_and_a_finished_seed_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 20)
    assert main(["reproduce", "first_digits", "--size", "tiny", "--out", str(tmp_path)]) == 0
    path = tmp_path / "first_digits-tiny.json"
    record = json.loads(path.read_text())
    assert (tmp_path / "first_digits-tiny-times.png").exists()
    assert record["tiny"]
    assert len(record["seeds"]) == 2
    well_formed(record)

    # what fails when it is called with a seed and a run, also in another process
    monkeypatch.setattr(first_digits, "train_seed", json.loads)
    before = path.read_bytes()
    assert first_digits.run(tmp_path, tiny=True) == path
    assert path.read_bytes() == before
    monkeypatch.setattr(first_digits, "COPIES", {1: 24, 2: 2, 4: 1})
    with pytest.raises(
        InputError, match="TypeError: .*takes 1 positional argument"
    ):  # other settings, another part
        first_digits.run(tmp_path, tiny=True)


def well_formed(record):
    assert record["kind"] == "duplicates"
    assert record["command"].startswith("memhorizon reproduce first_digits")
    assert {"torch", "threads"} <= set(record["environment"])
    for seed in record["seeds"]:
        assert {int(k): n for k, n in record["settings"]["copies"].items()} == {
            k: sum(image["copies"] == k for image in seed["images"]) for k in first_digits.COPIES
        }
        for image in seed["images"]:
            assert set(image) <= set(record["columns"])
            assert np.shape(image["count_by_ratio"]) == (2, len(seed["step"]))
            assert len(image["loss"]) == len(seed["step"])


def test_the_committed_record_follows_from_its_counts():
    record = json.loads(RECORD.read_text())
    assert not record["tiny"]
    assert len(record["seeds"]) >= 3
    well_formed(record)
    for seed in record["seeds"]:
        for image in seed["images"]:
            times, kept = statistics.times_of(image, seed), image["times"]["share"]
            assert times["share"].status == kept["status"]
            assert times["share"].value == pytest.approx(kept["value"])
            image["times"] = times
    for rule in statistics.RULES:
        found = statistics.duplicates(record["seeds"], rule)["by_copies"]
        for row, kept in zip(found[1:], record["summary"]["copies"][rule]["by_copies"][1:], strict=True):
            bounds = [math.nan if kept["ratio"][key] is None else kept["ratio"][key] for key in row["ratio"]]
            assert list(row["ratio"].values()) == pytest.approx(bounds, rel=1e-4, nan_ok=True)
            assert row.get("at_most", 0) == pytest.approx(kept.get("at_most", 0), rel=1e-4)


def test_seeds_have_images_of_their_own_and_the_copies_they_say():
    seen = torch.cat(
        [load_split(first_digits.config(s, "here").data).train_index for s in first_digits.SEEDS]
    )
    assert len(seen.unique()) == len(seen) == 27 * len(first_digits.SEEDS)
    each = [first_digits.copies_of(seed) for seed in first_digits.SEEDS]
    assert {int(copies.sum()) for copies in each} == {44}
    assert len({tuple(copies) for copies in each}) == len(each)


def test_copies_are_counted_for_the_image_that_they_copy():
    generator = torch.Generator().manual_seed(0)
    distinct = torch.randn(6, 1, 8, 8, generator=generator)
    owner = torch.tensor([0, 0, 0, 2, 2, 5, 5, 5, 5])
    copies = distinct[owner] + 0.05 * torch.randn(9, 1, 8, 8, generator=generator)
    strange = torch.randn(20, 1, 8, 8, generator=generator)
    broken = torch.full((1, 1, 8, 8), torch.nan)
    found = first_digits.copies_found(torch.cat([copies, broken, strange]), distinct, 1 / 3)
    wanted = [[2, 0, 1, 0, 0, 2], [1, 0, 1, 0, 0, 2]]  # even and odd places of `owner`
    assert found["count_by_ratio"].tolist() == wanted
    assert found["count_by_distance"].tolist() == wanted


def test_planted_times_are_recovered(made):
    """The share s = k/N / 2 has variance s / TOTAL and rises by k/N per log step where it is crossed."""
    for seed in made[0]:
        for image in seed["images"]:
            error = math.sqrt(seed["entries"] / (2 * image["copies"] * TOTAL))
            got = image["times"]["share"]
            assert got.observed
            assert abs(math.log(got.value / image["planted"])) < 5 * error


def test_an_image_that_is_not_copied_often_enough_is_censored():
    counts = np.where(np.array(STEP) < 1000, 0, 3)
    late = statistics.image_time(STEP, counts, TOTAL, 0.5)
    early = statistics.image_time(STEP, np.full(len(STEP), 900), TOTAL, 0.1)
    assert (late.status, late.value) == ("not reached", 4000)
    assert (early.status, early.value) == ("before first", 100)


def test_planted_ratios_and_the_exponent_are_recovered(made):
    share = made[1]["copies"]["share"]
    for row in share["by_copies"][1:]:
        images = 5 * np.array([first_digits.COPIES[row["copies"]], first_digits.COPIES[1]])
        error = SCATTER * math.sqrt((1 / images).sum())
        assert abs(math.log(row["ratio"]["value"] / row["copies"] ** EXPONENT)) < 4 * error
        assert row["ratio"]["low"] < row["ratio"]["value"] < row["ratio"]["high"]
    assert share["exponent"]["value"] == pytest.approx(EXPONENT, abs=4 * SCATTER / math.sqrt(5 * 27 * 0.5))


def test_without_censoring_ratio_and_exponent_are_those_of_plain_means_and_lines():
    x = np.random.default_rng(0).lognormal(7, 0.3, size=12)
    times = [time(value) for value in x]
    plain_ratio = np.log(x[:4]).mean() - np.log(x[4:]).mean()
    assert statistics.log_ratio(times[:4], times[4:]) == pytest.approx(plain_ratio, abs=1e-4)
    copies = np.repeat([1, 2, 4], 4)
    line = np.polyfit(np.log(copies), np.log(x), 1)[0]
    assert statistics.exponent(copies, times) == pytest.approx(line, abs=1e-4)


def test_censored_times_are_not_taken_at_their_bound():
    generator, end = np.random.default_rng(1), 1000.0
    slow, fast = generator.lognormal(7, 0.3, size=400), generator.lognormal(6.5, 0.3, size=400)
    assert 0.5 < (slow > end).mean() < 0.7
    cut = [time(min(v, end), "observed" if v < end else "not reached") for v in slow]
    got = statistics.log_ratio([time(v) for v in fast], cut)
    assert got == pytest.approx(-0.5, abs=4 * 0.3 * math.sqrt(2 / 400) * 1.5)  # censoring costs information
    bound = np.log(fast).mean() - np.mean([math.log(t.value) for t in cut])
    assert abs(bound + 0.5) > 4 * 0.3 * math.sqrt(2 / 400)


def test_nothing_observed_gives_no_number():
    late = [time(3000.0, "not reached")] * 4
    images = [{"copies": k, "times": {"share": late[0]}} for k in (1, 1, 2)]
    assert math.isnan(statistics.duplicates([{"images": images}], "share")["by_copies"][1]["at_most"])
    assert math.isnan(statistics.log_ratio(late[:2], late[2:]))
    assert statistics.over_seeds([math.nan, math.nan])["seeds"] == 0


def test_where_a_seed_lies_before_the_first_snapshot_a_bound_is_given_and_no_interval():
    def seed(fast):
        images = [{"copies": 1, "times": {"share": time(v)}} for v in (900.0, 1000.0, 1111.111)]
        return {"images": [*images, {"copies": 8, "times": {"share": fast}}]}

    row = statistics.duplicates([seed(time(400.0)), seed(time(100.0, "before first"))], "share")["by_copies"][
        1
    ]
    assert math.isnan(row["ratio"]["value"])
    assert row["before first"] == 1
    assert row["at_most"] == pytest.approx(0.2, rel=1e-3)  # the geometric mean of 0.4 and 0.1


def test_the_interval_over_seeds_is_that_of_student():
    x = [0.1, 0.4, 0.35, 0.2]
    wanted = stats.ttest_1samp(x, 0).confidence_interval()
    got = statistics.over_seeds([*x, math.nan])
    assert (got["low"], got["high"], got["seeds"]) == (*map(pytest.approx, wanted), 4)


def test_the_early_half_is_the_first_half_in_order_and_never_one_that_was_not_reached():
    times = [time(v) for v in (500, 300, 900, 400)] + [time(100, "before first"), time(3000, "not reached")]
    assert statistics.early_half(times).tolist() == [False, True, False, True, True, False]
    most = [time(500), *[time(3000, "not reached")] * 5]
    assert statistics.early_half(most).tolist() == [True, *[False] * 5]


def test_the_auc_is_that_of_mann_and_whitney():
    generator = np.random.default_rng(0)
    score = generator.integers(0, 8, size=30).astype(float)  # with ties
    early = generator.random(30) < 0.4
    wanted = stats.mannwhitneyu(score[early], score[~early]).statistic / (early.sum() * (~early).sum())
    assert statistics.auc(score, early) == pytest.approx(wanted)
    assert statistics.auc(-score, early) == pytest.approx(1 - wanted)


def test_scores_are_compared_within_seeds_only(made):
    """`nearest` is the planted order plus a number of the seed, `sparse` its reverse, `center` noise."""
    by_name = {row["predictor"]: row for row in made[1]["first"]["share"]}
    assert by_name["nearest"]["auc"] > 0.9
    assert by_name["sparse"]["auc"] == pytest.approx(1 - by_name["nearest"]["auc"])
    assert by_name["center"]["low"] < 0.5 < by_name["center"]["high"]
    assert made[1]["repeat"]["auc"] > 0.85
    assert by_name["nearest"]["images"] == 5 * first_digits.COPIES[1]
    assert all(row["low"] <= row["auc"] <= row["high"] for row in by_name.values())


def test_the_bootstrap_interval_has_the_width_of_the_spread_of_fresh_draws(monkeypatch):
    """Score and order independent: the AUC of 10 and 10 has variance 21 / (12 * 100)."""
    monkeypatch.setattr(statistics, "DRAWS", 1000)
    generator = np.random.default_rng(0)
    early, seeds = np.arange(20) < 10, 40
    found = statistics.pooled_auc([(generator.random(20), early) for _ in range(seeds)], generator)
    fresh = math.sqrt(21 / 1200 / seeds)
    width = (found["high"] - found["low"]) / (2 * 1.96)
    # Images drawn within drawn seeds count their own scatter twice: between 1 and sqrt(2) times too wide.
    assert 0.75 * fresh < width < 1.75 * fresh
    assert abs(found["auc"] - 0.5) < 4 * fresh


def test_the_picture_shows_the_numbers_and_stays_within_its_edges(made, tmp_path):
    seeds, summary = made
    seeds[0]["images"][0]["times"]["share"] = time(4000.0, "not reached")
    record = json.loads(json.dumps(plain({"kind": "duplicates", "seeds": seeds, "summary": summary})))
    (picture,) = figures.of(record).values()
    rows = picture.frame()
    for rule, found in record["summary"]["copies"].items():
        shown = [row for row in rows if row["quantity"] == "ratio" and row["rule"] == rule]
        assert [row["value"] for row in shown] == [row["ratio"]["value"] for row in found["by_copies"][1:]]
    assert sum(row["quantity"] == "time" for row in rows) == 5 * 27
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.save(picture.plot(), tmp_path / "times.png")
    pixels = np.asarray(Image.open(tmp_path / "times.png").convert("L"))
    assert np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).min() > 250
    assert (tmp_path / "times.png").stat().st_size < 100_000


@pytest.mark.parametrize("bad", [[], {}, {"kind": "sweep"}, {"kind": "duplicates"}])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match="duplicates|lacks"):
        figures.duplicates.duplicates(bad)
