"""Which tool sees which copy: the suite, published formulas beside their packages, the rule for a number."""

import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from evidence_records import DOCS, drawn, lines_of, read
from memhorizon import metrics, recipes
from memhorizon.experiments.executors import Inline
from memhorizon.recipes.planted_copies import formulas, numbers, packages
from memhorizon.recipes.planted_copies.suite import (
    COPIED_TWICE,
    NO_EDIT,
    TINY,
    TWICE,
    Case,
    Real,
    Run,
    case_of,
    honest_of,
    real_of,
    runs_of,
)
from memhorizon.recipes.planted_copies.tools import NOT_INSTALLED, Tool, Verdict
from memhorizon.recipes.tables import of_kind, rows_of
from scenes import scenes


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def case():
    """Forty colour samples, eight of which are near copies of training images."""
    images = scenes(240, 8, generator=seeded())
    train, holdout, samples = images.split([100, 100, 40])
    samples = samples.clone()
    samples[:8] = (train[:8] + 0.01 * torch.randn(8, 3, 8, 8, generator=seeded(1))).clamp(0, 1)
    return Case(Real(train, holdout), samples, torch.arange(40) < 8)


# ---- the suite


def test_honest_runs_share_no_image_with_each_other_or_with_the_training_images():
    real = real_of(TINY)
    parts = [honest_of(TINY, k) for k in range(TINY.honest_runs + TINY.repetitions)]
    images = torch.cat([real.train, real.holdout, *parts]).flatten(1)
    total = TINY.n_train + TINY.n_holdout + (TINY.honest_runs + TINY.repetitions) * TINY.n_samples
    assert len(images) == total
    assert len(torch.unique(images, dim=0)) == total  # no two digits are equal


def test_all_edits_have_their_copies_in_the_same_places_among_the_same_samples():
    exact = case_of(TINY, Run("exact", 0))
    flipped = case_of(TINY, Run("flip", 0))
    assert int(exact.is_copy.sum()) == TINY.copies
    assert torch.equal(exact.is_copy, flipped.is_copy)
    assert torch.equal(exact.samples[exact.is_copy], flipped.samples[exact.is_copy].flip(-1))
    honest = honest_of(TINY, TINY.honest_runs)
    assert torch.equal(exact.samples[~exact.is_copy], honest[~exact.is_copy])
    assert not case_of(TINY, Run(NO_EDIT, 0)).is_copy.any()


@pytest.mark.parametrize("edit", TWICE)
def test_images_that_occur_twice_are_copied(edit):
    case = case_of(TINY, Run(edit, 0))
    assert len(case.real.train) == TINY.n_train + TINY.copies
    distance = torch.cdist(case.samples[case.is_copy].flatten(1), case.real.train.flatten(1))
    two = distance.sort(dim=1).values[:, :3]
    # noise of 0.05 on 64 values in [0, 1] has a length below 0.05 (8 + 4); another digit is farther away
    assert (two[:, 1] < 0.6).all()
    assert (two[:, 2] > two[:, 1]).all()
    assert edit.startswith(COPIED_TWICE)


def test_every_run_is_judged_and_slow_tools_judge_the_first_of_an_edit():
    shifts = list(numbers.shifts_of(replace(TINY, repetitions=3)))
    quick = [shift.run for shift in shifts if shift.group == "quick"]
    assert quick == list(runs_of(replace(TINY, repetitions=3)))
    slow = [shift.run for shift in shifts if shift.group == "likelihood"]
    assert slow == list(runs_of(TINY))
    assert len({numbers.file_of(shift) for shift in shifts}) == len(shifts)


# ---- formulas


def slow_closest_record(samples, reference):
    """One pair and one column at a time."""
    span = reference.max(0) - reference.min(0)
    closest = []
    for x in samples:
        sums = []
        for y in reference:
            terms = [
                float(a != b) if s == 0 else min(abs(a - b) / s, 1)
                for a, b, s in zip(x, y, span, strict=True)
            ]
            sums.append(sum(terms) / len(terms))
        closest.append(min(sums))
    return np.array(closest)


def records(generator):
    """Records with a constant column, and samples that leave the ranges of the others."""
    reference = generator.normal(size=(30, 5)).astype(np.float32)
    reference[:, 2] = 0.5
    samples = (2 * generator.normal(size=(12, 5))).astype(np.float32)
    samples[:4, 2] = 0.5
    samples[:3] = reference[:3]
    return samples, reference


def test_the_distance_to_the_closest_record_is_that_of_its_definition():
    samples, reference = records(np.random.default_rng(0))
    fast = formulas.closest_record(torch.from_numpy(samples), torch.from_numpy(reference))
    slow = slow_closest_record(samples.astype(float), reference.astype(float))
    np.testing.assert_allclose(fast, slow, rtol=1e-5)  # in 32 bits, of five terms


def test_the_distance_to_the_closest_record_is_that_of_sdmetrics():
    utils = pytest.importorskip("sdmetrics.single_table.privacy.dcr_utils")
    pandas = pytest.importorskip("pandas")
    samples, reference = records(np.random.default_rng(0))
    tables = [pandas.DataFrame(x.astype(float)).rename(columns=str) for x in (samples, reference)]
    kinds = {"columns": {str(k): {"sdtype": "numerical"} for k in range(5)}}
    theirs = utils.calculate_dcr(*tables, kinds).to_numpy()
    fast = formulas.closest_record(torch.from_numpy(samples), torch.from_numpy(reference))
    np.testing.assert_allclose(fast, theirs, rtol=1e-5)


def test_new_rows_are_those_of_sdmetrics(case):
    module = pytest.importorskip("sdmetrics.single_table.new_row_synthesis")
    pandas = pytest.importorskip("pandas")
    exact = replace(case, samples=torch.cat([case.real.train[:8], case.samples[8:]]))
    for own, expected in ((exact, 8), (case, 0)):
        tables = [pandas.DataFrame(x.double().numpy()).add_prefix("c") for x in (own.real.table, own.table)]
        kinds = {"columns": {name: {"sdtype": "numerical"} for name in tables[0]}}
        theirs = module.NewRowSynthesis.compute(*tables, kinds)
        flagged = formulas.same_rows(own).is_flagged
        assert int(flagged.sum()) == expected
        assert 1 - theirs == pytest.approx(float(flagged.double().mean()))


def test_near_duplicates_are_those_of_m3_score(case):
    stats = pytest.importorskip("m3score.stats")
    theirs, _ = stats.memorization(case.real.train.flatten(1), case.samples.flatten(1))
    assert formulas.near_duplicates(case).number == pytest.approx(theirs)


def test_ratios_of_research_codes_miss_a_copy_of_what_occurs_twice(case):
    twice = replace(case, real=Real(torch.cat([case.real.train, case.real.train]), case.real.holdout))
    assert formulas.f_mem(case).is_flagged.tolist() == case.is_copy.tolist()
    assert not formulas.f_mem(twice).is_flagged.any()
    assert formulas.f_mem_of_groups(twice).is_flagged.tolist() == case.is_copy.tolist()


def test_thresholds_on_distances_are_those_of_their_definitions(case):
    distance = torch.cdist(case.samples.flatten(1).double(), case.real.train.flatten(1).double())
    ordered, index = distance.sort(dim=1)
    within = torch.cdist(case.real.train.flatten(1).double(), case.real.train.flatten(1).double())
    spacing = within.fill_diagonal_(math.inf).amin(1)
    expected = {
        formulas.f_mem: ordered[:, 0] < ordered[:, 1] / 3,
        formulas.calibrated_l2: ordered[:, 0] < 0.5 * ordered[:, :50].mean(1),
        formulas.auth_pct: ordered[:, 0] < spacing[index[:, 0]],
        formulas.near_duplicates: ordered[:, 0] < spacing.median(),
    }
    for judge, flagged in expected.items():
        found = judge(case)
        assert found.is_flagged.tolist() == flagged.tolist()
        assert found.number == pytest.approx(float(flagged.double().mean()))


def test_where_nothing_occurs_twice_they_are_the_metrics_of_the_package(case):
    same = {
        formulas.f_mem: (metrics.f_mem, lambda found: found < 1 / 3),
        formulas.calibrated_l2: (metrics.calibrated_l2, lambda found: found < 1),
        formulas.auth_pct: (metrics.auth_pct, lambda found: found <= 1),
    }
    for judge, (metric, is_copy) in same.items():
        found = metric(case.samples, case.real.train)
        assert judge(case).is_flagged.tolist() == is_copy(found.per_sample).tolist()


def test_the_directions_are_those_of_the_largest_variance(case):
    x = case.real.train.flatten(1).double().numpy()
    _, singular, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    variance = case.real.table.double().numpy().var(0, ddof=1)
    np.testing.assert_allclose(variance, singular[:64] ** 2 / 99, rtol=1e-4)  # projected in 32 bits


# ---- packages


def test_hashes_flag_an_equal_picture_and_not_a_mirrored_one():
    pytest.importorskip("imagehash")
    train = scenes(60, 32, generator=seeded())
    samples = torch.cat([train[:5], train[5:10].flip(-1)])
    case = Case(Real(train, train[:1]), samples, torch.ones(10, dtype=torch.bool))
    assert packages.phash_equal(case).is_flagged.tolist() == [True] * 5 + [False] * 5


def test_the_penalty_of_torchmetrics_is_a_mean_over_training_images():
    """The Frechet distance over the mean of the smallest 1 - |cos|, which of pale images is below 0.1."""
    linalg = pytest.importorskip("scipy.linalg")
    train, samples = (0.4 + 0.2 * scenes(400, 8, generator=seeded())).split([200, 200])
    pale = Case(Real(train, train), samples, torch.zeros(200, dtype=torch.bool))
    x, y = (table.double().numpy() for table in (pale.real.table, pale.table))
    a, b = (table / np.linalg.norm(table, axis=1, keepdims=True) for table in (x, y))
    far = 1 - np.abs(a @ b.T)
    over_train = far.min(axis=1).mean()
    over_samples = far.min(axis=0).mean()
    product = np.cov(x.T) @ np.cov(y.T)
    trace = np.trace(np.cov(x.T) + np.cov(y.T)) - 2 * np.sqrt(linalg.eigvals(product)).real.sum()
    frechet = ((x.mean(0) - y.mean(0)) ** 2).sum() + trace
    assert over_train < 0.1
    found = packages.torchmetrics_mifid(pale).number
    # in 32 bits; the two means differ by more than that
    assert found == pytest.approx(frechet / over_train, rel=1e-3)
    assert abs(over_samples / over_train - 1) > 3e-3


# ---- rows


def test_an_honest_number_is_beyond_the_null_once_in_its_size_plus_one():
    null_and_own = list(itertools.permutations([1.0, 2.0, 3.0, 4.0]))
    for direction in (1, -1):
        beyond = [numbers.beyond(own, null, direction) for own, *null in null_and_own]
        assert sum(beyond) * 4 == len(beyond)


def test_rows_count_copies_and_honest_samples():
    runs = {
        Run(NO_EDIT, 0): numbers.RunFound(0, 10, {"f_mem, 1/3": numbers.Outcome(0.1, 0, 1)}),
        Run(NO_EDIT, 1): numbers.RunFound(0, 10, {"f_mem, 1/3": numbers.Outcome(0.3, 0, 3)}),
        Run("flip", 0): numbers.RunFound(5, 5, {"f_mem, 1/3": numbers.Outcome(0.4, 3, 1)}),
        Run("flip", 1): numbers.RunFound(5, 5, {"f_mem, 1/3": numbers.Outcome(0.0, 0, 0)}),
    }
    rows = list(numbers.rows_of(runs))
    tool = next(row for row in rows if row.tool == "f_mem, 1/3")
    assert (tool.base.count, tool.base.total, tool.low, tool.high) == (4, 20, 0.1, 0.3)
    (edit,) = of_kind(rows, numbers.EditRow)
    assert (edit.found.count, edit.found.total) == (3, 10)
    assert (edit.seen.count, edit.seen.total) == (1, 2)
    assert edit.false == pytest.approx((1 / 4 + 0) / 2)


def test_a_tool_that_is_not_installed_is_listed_and_not_run():
    tool = Tool("nobody's", "no-such-distribution-planted", "", lambda case: Verdict(0.0))
    assert tool.version == NOT_INSTALLED
    assert not tool.is_there
    assert numbers.tool_row(tool, []).flags is None


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    recipe = recipes.load(numbers.NAME)
    return recipe.reproduce(folder, "tiny", root=folder / "runs", executor=Inline()).record


def test_the_tiny_twin_finds_exact_copies_and_what_the_formulas_miss(tiny):
    rows = rows_of(tiny, numbers.NAME, numbers.KINDS)
    edits = {(row.tool, row.edit): row for row in of_kind(rows, numbers.EditRow)}
    for tool in ("audit, pixels", "f_mem, 1/3", "calibrated L2", "AuthPct", "m3 memorization"):
        assert edits[tool, "exact"].found.value == 1
    twice = next(iter(TWICE))
    assert edits["f_mem, 1/3", "flip"].found.value == 0
    assert edits["f_mem, 1/3", twice].found.value == 0
    for tool in ("f_mem, 1/3, groups", "audit, pixels"):
        assert edits[tool, twice].found.value > 0.5
    tools = {row.tool: row for row in of_kind(rows, numbers.ToolRow)}
    assert set(tools) == {tool.name for tool in numbers.TOOLS}
    assert tools["m3 memorization"].base.value > 0.3  # nearly half of honest samples
    assert tools["f_mem, 1/3"].base.value < 0.05
    assert tools["audit, pixels"].base.value < 0.01  # at most 5 % of the runs flag anything


def test_the_picture_shows_the_numbers(tiny, tmp_path):
    frame = drawn(tiny, tmp_path).frame()
    assert {row["tool"] for row in frame} == {tool.name for tool in numbers.TOOLS}


# ---- the committed record


@pytest.fixture(scope="module")
def kept():
    rows = rows_of(read(numbers.NAME), numbers.NAME, numbers.KINDS)
    return {row.tool: row for row in of_kind(rows, numbers.ToolRow)}, {
        (row.tool, row.edit): row for row in of_kind(rows, numbers.EditRow)
    }


def cells(line):
    return [cell.strip() for cell in re.sub(r"\(\[record\]\(\S*?\)\)", "", line).strip("| ").split("|")]


def table_of(head):
    """The lines of a table of the page whose second column has this head."""
    page = (DOCS / "evidence" / "planted_copies.md").read_text().splitlines()
    start = next(i for i, line in enumerate(page) if line.startswith("|") and cells(line)[1] == head)
    lines = itertools.takewhile(lambda line: line.startswith("|"), page[start:])
    first, _, *rest = (cells(line) for line in lines)
    return first, rest


def test_the_page_says_which_copies_are_flagged(kept):
    tools, edits = kept
    (_, _, *columns), lines = table_of("honest samples")
    full = {column.replace("occurs twice", "of one that occurs twice"): column for column in columns}
    assert {tool for tool, *_ in lines} == {tool for tool, row in tools.items() if row.flags}
    for tool, base, *shares in lines:
        value = tools[tool].base.value
        assert base == (f"{value:.1g}" if 0 < value < 0.005 else f"{value:.2f}")
        assert shares == [f"{edits[tool, edit].found.value:.2f}" for edit in full]


def test_the_page_says_which_numbers_tell(kept):
    tools, edits = kept
    _, lines = table_of("20 honest runs")
    assert {tool for tool, *_ in lines} == {tool for tool, row in tools.items() if row.flags is False}
    for tool, span, exact, seen in lines:
        assert span == f"{tools[tool].low:.3g} to {tools[tool].high:.3g}"
        assert exact == ", ".join(f"{number:.3g}" for number in edits[tool, "exact"].number)
        runs = [row.seen.count for (name, _), row in edits.items() if name == tool and row.seen.count]
        assert [int(count) for count in re.findall(r"\((\d) of \d\)", seen)] == runs


def test_the_page_says_how_much_of_what_is_flagged_is_honest(kept):
    _, edits = kept
    said = lines_of(numbers.NAME)
    for tool, words in (
        ("m3 memorization", "{} % is honest"),
        ("AuthPct", "of AuthPct {} %"),
        ("phash, 10 bits", "of the perceptual hash within 10 bits {} %"),
    ):
        assert words.format(round(100 * edits[tool, "exact"].false)) in said
