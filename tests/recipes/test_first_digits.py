"""The recipe on duplicates: its tiny twin, its statistics on planted numbers, its picture, its record."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from evidence_records import RECORDS, drawn, not_reached, observed, read
from memhorizon import recipes
from memhorizon.datasets.split import load_split
from memhorizon.errors import InputError
from memhorizon.experiments.executors import Inline
from memhorizon.recipes.first_digits import numbers, statistics
from memhorizon.recipes.first_digits.figure import first_digits
from memhorizon.recipes.first_digits.rows import KINDS, RULES, Row, Seed, SeedFacts, Summary, Times
from memhorizon.recipes.tables import rows_of, table
from memhorizon.records.codec import decode, encode_object
from memhorizon.records.files import load_record
from memhorizon.results import Status, Time
from memhorizon.timescales import ordering

STEP = tuple(int(step) for step in np.unique(np.geomspace(100, 4000, 14).round()))
TOTAL, EXPONENT, SCATTER = 2000, -0.5, 0.25
NULL = {"count_by_ratio": (0, 9), "count_by_distance": (0, 9)}


def seed_of(images):
    """A training whose images are these."""
    return Seed(
        step=STEP,
        holdout_loss=(1.0,) * len(STEP),
        early_step=100,
        samples=TOTAL,
        entries=44,
        null=NULL,
        images=tuple(images),
    )


def planted(seed):
    """Images whose copies reach half of k/N at 1000 k^EXPONENT e^z, where z decides what `nearest` shows."""
    generator = np.random.default_rng(seed)
    copies = numbers.copies_of(seed)
    z = generator.normal(size=len(copies)) * SCATTER
    images = [planted_image(i, k, z[i], seed, generator) for i, k in enumerate(copies)]
    return numbers.rows_of(seed, seed_of(images))


def planted_image(i, k, z, seed, generator):
    half = 1000 * k**EXPONENT * math.exp(z)
    share = k / 44 / (1 + (half / np.array(STEP)) ** 4)
    even, odd = generator.binomial(TOTAL // 2, share, size=(2, len(STEP))).tolist()
    noise = generator.normal(size=2)
    return numbers.Image(
        image=i,
        label=0,
        copies=int(k),
        nearest=seed - z,
        center=float(noise[0]),
        sparse=float(z),
        early_loss=float(noise[1]),
        loss=(0.0,) * len(STEP),
        count_by_ratio=(tuple(even), tuple(odd)),
        count_by_distance=(tuple(even), tuple(odd)),
    )


def facts_of(seed):
    whole = {name: value for name, value in vars(seed_of(())).items() if name != "images"}
    return SeedFacts(seed=seed, seconds=1.0, environment={}, **whole)


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "DRAWS", 200)
        seeds = [planted(seed) for seed in range(5)]
        return seeds, statistics.summarise(seeds, [facts_of(seed) for seed in range(5)])


def test_the_tiny_twin_has_the_form_of_the_record_and_a_finished_seed_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(ordering, "DRAWS", 20)
    recipe = recipes.load("first_digits")

    def run():
        return recipe.run(tmp_path, "tiny", root=tmp_path / "runs", records=RECORDS, executor=Inline())

    record = load_record(run())
    assert record.tiny
    well_formed(record, seeds=2)
    first_digits(record).plot()
    parts = sorted((tmp_path / "runs").rglob("*.json"))
    before = [part.stat().st_mtime_ns for part in parts]
    assert load_record(run()).rows == record.rows
    assert [part.stat().st_mtime_ns for part in parts] == before
    path = parts[0]
    path.write_text(path.read_text().replace('"copies": {"1": 20', '"copies": {"1": 21'))
    assert load_record(run()).rows == record.rows  # a part of other settings is made anew
    assert path.stat().st_mtime_ns != before[0]


def well_formed(record, seeds):
    summary = decode(record.summary, Summary, "record.summary")
    assert len(summary.seeds) == seeds
    assert {"torch", "threads"} <= set(record.environment)
    rows = rows_of(record, "first_digits", KINDS)
    for facts in summary.seeds:
        own = [row for row in rows if row.seed == facts.seed]
        counts = {str(k): sum(row.copies == k for row in own) for k in numbers.COPIES}
        assert record.settings["copies"] == counts
        for row in own:
            assert np.shape(row.count_by_ratio) == (2, len(facts.step))
            assert len(row.loss) == len(facts.step)


def test_the_committed_record_follows_from_its_counts(tmp_path):
    record = read("first_digits")
    assert not record.tiny
    well_formed(record, seeds=6)
    rows = rows_of(record, "first_digits", KINDS)
    summary = decode(record.summary, Summary, "record.summary")
    seeds = []
    for facts in summary.seeds:
        own = [row for row in rows if row.seed == facts.seed]
        seed = replace(seed_of(own), step=facts.step, samples=facts.samples, entries=facts.entries)
        seeds.append([replace(row, times=statistics.times_of(row, seed)) for row in own])
    for new, old in zip((row for own in seeds for row in own), rows, strict=True):
        assert new.times.share.status == old.times.share.status
        assert new.times.share.value == pytest.approx(old.times.share.value)
    for rule in RULES:
        found = statistics.duplicates(seeds, rule).by_copies
        for new, old in zip(found[1:], summary.copies[rule].by_copies[1:], strict=True):
            assert new.ratio.value == pytest.approx(old.ratio.value, rel=1e-4, nan_ok=True)
            assert new.ratio.high == pytest.approx(old.ratio.high, rel=1e-4)
            assert (new.at_most or 0) == pytest.approx(old.at_most or 0, rel=1e-4)
    drawn(record, tmp_path)


def test_seeds_have_images_of_their_own_and_the_copies_they_say():
    seen = torch.cat([load_split(numbers.config(s, "here").data).train_index for s in numbers.SEEDS])
    assert len(seen.unique()) == len(seen) == 27 * len(numbers.SEEDS)
    each = [numbers.copies_of(seed) for seed in numbers.SEEDS]
    assert {int(copies.sum()) for copies in each} == {44}
    assert len({tuple(copies) for copies in each}) == len(each)


def test_copies_are_counted_for_the_image_that_they_copy():
    generator = torch.Generator().manual_seed(0)
    distinct = torch.randn(6, 1, 8, 8, generator=generator)
    owner = torch.tensor([0, 0, 0, 2, 2, 5, 5, 5, 5])
    copies = distinct[owner] + 0.05 * torch.randn(9, 1, 8, 8, generator=generator)
    strange = torch.randn(20, 1, 8, 8, generator=generator)
    broken = torch.full((1, 1, 8, 8), torch.nan)
    found = numbers.copies_found(torch.cat([copies, broken, strange]), distinct, 1 / 3)
    wanted = [[2, 0, 1, 0, 0, 2], [1, 0, 1, 0, 0, 2]]  # even and odd places of `owner`
    assert found["count_by_ratio"].tolist() == wanted
    assert found["count_by_distance"].tolist() == wanted


def test_ratio_and_exponent_are_recovered(made):
    share = made[1].copies["share"]
    for row in share.by_copies[1:]:
        images = 5 * np.array([numbers.COPIES[row.copies], numbers.COPIES[1]])
        error = SCATTER * math.sqrt((1 / images).sum())
        assert abs(math.log(row.ratio.value / row.copies**EXPONENT)) < 4 * error
        assert row.ratio.low < row.ratio.value < row.ratio.high
    assert share.exponent.value == pytest.approx(EXPONENT, abs=4 * SCATTER / math.sqrt(5 * 27 * 0.5))


def before_first(value):
    return Time(value, 0.0, value, Status.BEFORE_FIRST)


def image(k, found):
    """A row of which only copies and times count."""
    times = Times(found, found, found, found, found)
    plain = planted_image(0, k, 0.0, 0, np.random.default_rng(0))
    return Row(**vars(plain), seed=0, times=times)


def test_nothing_observed_gives_no_number():
    late = not_reached(3000.0)
    (_, row) = statistics.duplicates([[image(k, late) for k in (1, 1, 2)]], "share").by_copies
    assert math.isnan(row.at_most)
    assert math.isnan(row.ratio.value)


def test_where_a_seed_lies_before_the_first_snapshot_a_bound_is_given_and_no_interval():
    def seed(fast):
        return [*(image(1, observed(v)) for v in (900.0, 1000.0, 1111.111)), image(8, fast)]

    seeds = [seed(observed(400.0)), seed(before_first(100.0))]
    row = statistics.duplicates(seeds, "share").by_copies[1]
    assert math.isnan(row.ratio.value)
    assert row.before_first == 1
    assert row.at_most == pytest.approx(0.2, rel=1e-3)  # the geometric mean of 0.4 and 0.1


def test_scores_are_compared_within_seeds_only(made):
    """`nearest` is the planted order plus a number of the seed, `sparse` its reverse, `center` noise."""
    by_name = {row.predictor: row for row in made[1].first["share"]}
    assert by_name["nearest"].auc > 0.9
    assert by_name["sparse"].auc == pytest.approx(1 - by_name["nearest"].auc)
    assert by_name["center"].low < 0.5 < by_name["center"].high
    chance = math.sqrt(21 / (12 * 100) / 5)  # error of the mean of five AUCs of 10 and 10 that say nothing
    assert made[1].repeat.auc > 0.5 + 4 * chance
    assert by_name["nearest"].images == 5 * numbers.COPIES[1]
    assert all(row.low <= row.auc <= row.high for row in by_name.values())


def test_the_picture_shows_the_numbers(made, tmp_path):
    seeds, summary = made
    rows = [row for images in seeds for row in images]
    late = replace(rows[0].times, share=not_reached(4000.0))
    rows[0] = replace(rows[0], times=late)
    record = table("first_digits", rows, KINDS, settings={}, summary=encode_object(summary))
    record = replace(record, command="memhorizon reproduce first_digits")  # who draws it is then known
    frame = drawn(record, tmp_path).frame()
    for rule, found in summary.copies.items():
        shown = [row for row in frame if row["quantity"] == "ratio" and row["rule"] == rule]
        wanted = [row.ratio.value for row in found.by_copies[1:]]
        assert [row["value"] for row in shown] == pytest.approx(wanted, rel=1e-6)
    assert sum(row["quantity"] == "time" for row in frame) == 5 * 27


@pytest.mark.parametrize("bad", [[], {}, "n_digits", "rates"])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match="expected the table of 'first_digits'"):
        first_digits(read(bad) if isinstance(bad, str) else bad)
