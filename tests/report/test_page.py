import copy
import html
import importlib
import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from markup import Reader, assert_clean
from memhorizon.errors import InputError
from memhorizon.experiments.record import record
from memhorizon.figures import registry, style
from memhorizon.records.files import load_record, record_of, to_plain
from memhorizon.records.sweep import Contrast, DataFacts, Duplicates, LeftOut, RunRecord, Skipped
from memhorizon.report import report, sentence
from memhorizon.report.ink import at_night, lightness
from memhorizon.report.style import CSS
from memhorizon.report.sweep.choice import choice_of
from memhorizon.report.sweep.headline import headline
from memhorizon.report.words import time_text
from memhorizon.results import Curve, Estimate, Fraction, ScalingLaw, Status, Time, Timescales
from memhorizon.timescales.rules import Rules
from sweeps import make_runs

RULES = Rules(t=0.3, memorized=0.1)


def sweep(folder, **settings):
    runs = make_runs(folder, **settings)
    return record(runs, RULES, name="a <b> & c", command="sweep --x '<y>'"), runs


def changed(made, change):
    """The record after a change of what its file holds."""
    tree = json.loads(json.dumps(to_plain(made)))
    change(tree)
    return record_of(tree)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("made"), n_train=(8, 64, 512), steps=1500)


@pytest.fixture(scope="module")
def page(made):
    return report(*made)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """One run with the two curves that a page needs: quick to draw, and every entry of a run is there."""
    made, _ = sweep(tmp_path_factory.mktemp("single"), n_train=(8,), steps=600)
    (run,) = made.runs
    data = DataFacts(
        fingerprint="sha256:0",
        n_train=8,
        n_holdout=200,
        duplicates=Duplicates("equal values", items=5, groups=2, largest=3, left_out_of_holdout=4),
        skipped=(Skipped("a\x1b[31m\u202e<i>.png", "cut <short>"),),
        n_skipped=1155,
        ignored={".txt": 3},
    )
    curves = {name: run.curves[name] for name in ("holdout@0.3", "memorized")}
    return replace(made, runs=(replace(run, curves=curves, data=data),))


def test_the_page_stands_alone(page):
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    assert not reader.tags & {"script", "link", "iframe", "object", "embed"}
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in reader.links)
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link[0] == "#"} <= set(reader.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(reader.ids)
    assert "http" not in page
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_says_what_was_found_and_escapes_names(made, page):
    assert html.escape(sentence(made[0])).replace(" %", "\u00a0%") in page
    assert "a &lt;b&gt; &amp; c" in page
    assert "sweep --x &#x27;&lt;y&gt;&#x27;" in page
    assert "<b>" not in page
    assert "&gt; 1,500" in page  # the run that never copied
    for run in made[0].runs:
        assert run.key in page


def test_the_same_record_gives_the_same_page(made, page):
    assert report(copy.deepcopy(made[0]), made[1]) == page


def test_without_run_directories_the_page_says_that_images_are_missing(single):
    wanted = "Not shown: runs: expected run directories with samples of images, got none."
    assert wanted in report(single)


def test_one_unfinished_run(tmp_path):
    made = sweep(tmp_path, n_train=(8,), until=400)
    page = report(*made)
    assert "1 of 1 runs are not finished" in page
    assert "not finished</td>" in page
    assert "cannot be used" not in page
    assert "How the times grow" not in page


def test_points_are_not_called_images(tmp_path):
    made = sweep(tmp_path, name="mixture", n_train=(8,), steps=600)
    assert "8 training points" in sentence(made[0])
    assert "nearest training images" not in report(*made)


def time(tree, timescale, i, **entries):
    """Other words for one time of a file."""
    tree["runs"][i]["timescales"][timescale].update(entries)


def law(value, low, high):
    exponents = {"n_train": Estimate(value, low, high)}
    return ScalingLaw(exponents, 1.0, 0.01 * np.eye(2), 0.1, 3, 0, Status.FITTED)


@pytest.mark.parametrize(
    ("mem", "gen", "words"),
    [
        (
            (1.0, 0.5, 1.5),
            (0.0, -0.2, 0.2),
            ["2.00 [1.41, 2.83] times longer for every", "without measurably"],
        ),
        (
            (0.5, -0.5, 1.5),
            (1.0, 0.9, 1.1),
            ["not settled by these runs (1.41 [0.71, 2.83]", "fixed level later ("],
        ),
        (
            (-1.0, -2.0, -0.5),
            (-1.0, -1.1, -0.9),
            ["0.50 [0.25, 0.71] times as long, that is less", "fixed level earlier"],
        ),
        ((1.0, -30.0, math.inf), (0.0, -0.1, 0.1), ["2.00 [0, any]"]),
    ],
)
def test_the_sentence_follows_the_intervals(made, mem, gen, words):
    record = replace(made[0], laws={"tau_mem": law(*mem), "tau_gen": law(*gen)})
    assert all(word in sentence(record) for word in words), sentence(record)


def test_the_sentence_does_not_invent_what_was_not_seen(made):
    assert "after step 1,500 with 512 training images" in sentence(made[0])

    def nothing(tree):
        tree["laws"] = {}
        for i in range(3):
            time(tree, "tau_mem", i, value=1500.0, low=1500.0, high="inf", status="not reached")
            time(tree, "tau_gen", i, value=20.0, low=0.0, high=20.0, status="before first")

    text = sentence(changed(made[0], nothing))
    assert "No run had begun to copy" in text
    assert "before the first look (step 20) in all runs" in text


def test_seeds_are_summed_up_with_their_range_and_their_censored_ones(tmp_path):
    made, _ = sweep(tmp_path, n_train=(8,), seeds=(0, 1, 2), steps=600)
    values = sorted(run.timescales.tau_mem.value for run in made.runs)
    assert f"({values[0]:,.0f} to {values[2]:,.0f} over 3 seeds)" in sentence(made)
    late = {"value": 600.0, "high": "inf", "status": "not reached"}
    one = changed(made, lambda tree: time(tree, "tau_mem", 0, **late))
    assert "over 2 of 3 seeds" in sentence(one)
    two = changed(one, lambda tree: time(tree, "tau_mem", 1, **late))
    assert "in 1 of 3 seeds" in sentence(two)


def test_times_are_written_as_what_is_known():
    assert time_text(Time(1234.0, 1000.0, 1500.0, Status("observed"))) == "1,234 [1,000, 1,500]"
    assert time_text(Time(1234.0, 0.0, float("inf"), Status("observed"))) == "1,234 [0, ∞]"
    assert time_text(Time(1800.0, 1700.0, float("inf"), Status("not reached"))) == "> 1,800"
    assert time_text(Time(50.0, 0.0, 50.0, Status("before first"))) == "< 50"


def test_a_record_that_is_none_is_refused():
    with pytest.raises(
        InputError,
        match="expected one of AuditRecord, ForecastRecord, MonitorRecord, PlanRecord, SweepRecord",
    ):
        report({"kind": "theory"})
    with pytest.raises(
        InputError,
        match="expected one of AuditRecord, ForecastRecord, MonitorRecord, PlanRecord, SweepRecord",
    ):
        sentence([])


def test_the_head_of_the_page_says_when_on_what_with_which_network_and_command(single):
    page = report(replace(single, made="2026-11-25T20:35:00Z"))
    assert "<dd>2026-11-25T20:35:00Z</dd>" in page
    assert "digits, 8 training items, 200 held-out items, 1 run, 1 seed" in page
    assert "U-Net: width 16" in page
    assert "adam, learning rate 0.001" in page
    assert "<dt>Date</dt><dd>not recorded</dd>" in report(single)


def test_what_was_lost_on_the_way_is_said_and_printable(single):
    page = report(replace(single, left_out=(LeftOut("run-<b>", "its <last> line is damaged"),)))
    assert "1 of 2 runs is not in this page" in page
    assert "run-&lt;b&gt;" in page
    assert "its &lt;last&gt; line is damaged" in page
    assert "1,155 files of the data could not be read" in page
    assert r"a\x1b[31m\u202e&lt;i&gt;.png</code>: cut &lt;short&gt;" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "and 1,154 more" in page
    assert ".txt (3)" in page
    assert "5 of 8 training items are duplicates of each other, in 2 groups (the largest of 3)" in page
    assert "4 items were left out of the holdout set" in page
    assert_clean(page)


def test_runs_that_cannot_be_compared_have_a_part_of_their_own(single):
    other = changed(single, lambda tree: tree["runs"][0]["config"]["measure"].update(threshold=0.9))
    other = replace(other, differs={"train.prediction": "x0", "measure.threshold": "<0.9>"})
    page = report(replace(single, others=(other,)))
    assert "1 run cannot be compared with these and is shown apart" in page
    assert page.count("prediction = x0, threshold = &lt;0.9&gt;") == 2  # in the note, and above its part
    assert re.findall(r"is below ([\d.]+) times", page) == ["0.333", "0.9"]
    assert_clean(page)
    reader = Reader()
    reader.feed(page)
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links} <= set(reader.ids)


def without(record, *names, **times):
    """The record of one run without some of its curves, and with times that are none."""

    def cut(tree):
        (run,) = tree["runs"]
        known = {**run["curves"], "kernel": run["curves"]["holdout@0.3"]}  # one that no time is read from
        run["curves"] = {name: curve for name, curve in known.items() if name not in names}
        for name, status in times.items():
            time(tree, name, 0, value="nan", low=0.0, high="inf", status=status, rule="none")
        if times:
            run["timescales"]["others"] = {}

    return changed(record, cut)


@pytest.mark.parametrize(
    ("names", "times", "words"),
    [
        (("memorized",), {"tau_mem": "not measured"}, ["is not known", "– (not measured)", "not looked for"]),
        (("holdout@0.3",), {"tau_gen": "not measured"}, ["was not measured", "no level is known"]),
        ((), {"tau_gen": "still improving"}, ["still coming down", "– (still improving)"]),
        ((), {"tau_gen": "trivial level", "tau_mem": "not measured"}, ["network that predicts nothing"]),
        (
            ("memorized", "holdout@0.3"),
            {"tau_gen": "not measured", "tau_mem": "not measured"},
            ["Not shown: record: expected curves"],
        ),
    ],
)
def test_a_record_without_a_part_has_a_page_without_it(single, names, times, words):
    made = without(single, *names, **times)
    page = report(made)
    assert all(word in page for word in words)
    assert not re.search(r"\bnan\b|\binf\b|cannot be used", re.sub(r"<svg.*?</svg>", "", page, flags=re.S))
    assert_clean(page)


def test_where_a_number_is_missing_the_page_says_what_to_try(single):
    page = report(without(single, tau_gen="still improving", tau_mem="not measured"))
    for status in (Status.STILL_IMPROVING, Status.NOT_MEASURED):
        assert page.count(html.escape(status.advice)) >= 1
    assert html.escape(Status.NOT_REACHED.advice) not in page


def test_unknown_times_among_known_ones_are_counted_and_left_out(made):
    def some_unknown(tree):
        tree["laws"] = {}
        time(tree, "tau_mem", 0, value="nan", low=0.0, high="inf", status="not measured")
        time(tree, "tau_gen", 0, value="nan", low=0.0, high="inf", status="still improving")
        time(tree, "tau_gen", 1, value=1500.0, low=1500.0, high="inf", status="not reached")
        time(tree, "tau_gen", 2, value=1500.0, low=1500.0, high="inf", status="not reached")

    record = changed(made[0], some_unknown)
    assert "with 8 training images" not in sentence(record)
    assert "0 of 3 runs (1 still improving)" in sentence(record)
    assert headline(record).number == f"{record.runs[1].timescales.tau_mem.value:,.0f}"
    assert "the earliest of 2 runs" in headline(record).words


def contrast(value, ratio, status=Status.FITTED, at_least=None):
    return Contrast("dropout", 0.0, value, "tau_mem", ratio, 3, 0, status, at_least=at_least)


def test_the_headline_is_one_number_with_its_interval(made):
    with_law = headline(replace(made[0], laws={"tau_mem": law(1.04, 0.98, math.inf)}))
    assert (with_law.number, with_law.interval) == ("1.04", "[0.98, ∞]")
    assert "exponent of τ_mem in the training items n" in with_law.words
    small = contrast(0.1, Estimate(1.5, 1.25, math.inf))
    compared = headline(replace(made[0], laws={}, contrasts=(small,)))
    assert (compared.number, compared.interval) == ("1.50", "[1.25, ∞]")
    large = contrast(0.2, Estimate(math.nan, 0.0, math.inf), Status.NOT_FITTED, at_least=4.0)
    bounded = headline(replace(made[0], laws={}, contrasts=(small, large)))
    assert (bounded.number, bounded.interval) == ("> 4.00", "")
    assert "τ_mem at dropout = 0.2 over" in bounded.words

    def nothing(tree):
        tree["laws"] = {}
        for i in range(3):
            time(tree, "tau_mem", i, value=500.0 + i, low=500.0, high="inf", status="not reached")

    found = headline(changed(made[0], nothing))
    assert found.number == "> 500"
    assert "at most" in found.words


def run_of(counts, quality, *, null=(1, 200), total=400, tau_gen=150.0):
    """A run with these counts of copies and qualities at steps 100, 200, ..."""
    steps = 100.0 * np.arange(1, len(counts) + 1)
    zeros = np.zeros(len(steps))
    ones = np.ones(len(steps))
    curves = {
        "memorized": Curve(steps, np.array(counts) / total, zeros, ones, total=total * ones),
        "q": Curve(steps, np.array(quality, dtype=float), zeros, 9 * ones),
    }
    unknown = Time.unknown(Status.NOT_MEASURED, "")
    return RunRecord(
        key="a",
        n_train=8,
        seed=0,
        factors={},
        config={},
        environment={},
        data=DataFacts(),
        curves=curves,
        null=None if null is None else Fraction(null[0] / null[1], 0.0, 1.0, *null),
        timescales=Timescales(Time(tau_gen, 0.0, math.inf, Status.OBSERVED), unknown),
    )


def test_the_snapshot_to_use_is_the_best_before_copies_are_seen():
    found = choice_of(run_of([0, 0, 2, 0, 40, 0], [5, 4, 2, 3, 1, 1]), "q")
    assert (found.good, found.last, found.ended, found.none_at_all) == (200, 400, True, False)
    assert (found.step, found.quality.value, found.copies.value) == (300, 2, 2 / 400)
    clean = choice_of(run_of([0, 0], [5, 4], tau_gen=500.0), "q")
    assert (clean.good, clean.last, clean.ended, clean.none_at_all) == (None, 200, False, True)
    assert choice_of(run_of([40, 0], [1, 1]), "q") is None
    assert choice_of(run_of([0], [1]), "not measured").step is None
    chance = run_of([0, 5] + 20 * [0], [5] * 21 + [1], null=(0, 400))  # p = 0.03 in one of 22 snapshots
    assert choice_of(chance, "q").step == 2200
    alone = run_of([0, 1], [2, 1], null=None)  # no held-out item tells how many are expected
    assert choice_of(alone, "q").last == 100


@pytest.mark.parametrize("null", [(0, 200), (3, 50)])
def test_copies_are_above_the_null_where_fishers_test_says_so(null):
    for count in range(1, 60):
        table = [[count, 400 - count], [null[0], null[1] - null[0]]]
        significant = stats.fisher_exact(table, alternative="greater").pvalue < 0.05
        found = choice_of(run_of([count], [1], null=null), "q")
        assert (found is None) == significant


def test_colours_are_turned_round_for_dark_paper():
    """Their order is kept, and every one is told from the paper (contrast 3, as for graphics in WCAG)."""

    def channels(colour):
        return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]

    def luminance(colour):
        light = lightness(channels(colour))
        return ((light + 16) / 116) ** 3 if light > 8 else light / 903.3

    for count in (2, 3, 5, 8):
        dark = [at_night(colour) for colour in style.colours(count)]
        assert np.all(np.diff([lightness(channels(colour)) for colour in dark]) < 0)
        paper = luminance(at_night("#ffffff"))
        assert all((luminance(colour) + 0.05) / (paper + 0.05) > 3 for colour in dark)
    assert at_night("#ffffff") == "#171717"
    assert "--paper: #171717" in CSS


def test_pictures_follow_the_page_and_stay_legible_where_it_is_narrow(page):
    head, body = page.split("</head>")
    used = set(re.findall(r"var\(--([0-9a-f]{6})\)", body))
    assert used
    for mode in (head.split("@media screen")[-2], head.split("@media screen")[-1]):
        assert used <= set(re.findall(r"--([0-9a-f]{6}): #[0-9a-f]{6};", mode))
    pictures = re.findall(r"<svg.*?</svg>", body, flags=re.S)
    assert pictures
    for picture in pictures:
        assert not re.search(r"#[0-9a-f]{6}\b", picture)
        points = float(re.search(r'viewBox="0 0 ([\d.]+)', picture)[1])
        narrowest = float(re.search(r"min-width:(\d+)px", picture)[1])
        assert 8 * narrowest / points > 9  # pixels of the smallest type, 8 points


VALUES = (None, "text with <script>alert(1)</script><img src=x>", -1, 1e308, [], {}, True, [[1, [2]]])


def places(value, path=()):
    """Every entry at any depth; of a list the first two."""
    entries = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        entries = enumerate(value[:2])
    for key, entry in entries:
        yield (*path, key)
        yield from places(entry, (*path, key))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a number at the end of the range overflows silently
def test_a_strangers_record_gives_a_clean_page_or_an_input_error(single):
    """One entry is changed at a time; of all changes every 179th, which meets every value at all depths."""
    single = replace(single, made="today", left_out=(LeftOut("a", "b"),))
    tree = json.loads(json.dumps(to_plain(single)))
    changes = [(path, value) for path in places(tree) for value in VALUES]
    refused = 0
    for path, value in changes[::179]:
        made = copy.deepcopy(tree)
        entry = made
        for key in path[:-1]:
            entry = entry[key]
        entry[path[-1]] = value
        try:
            assert_clean(report(record_of(made)))
        except InputError:
            refused += 1
    assert 0 < refused < len(changes[::179])


RESULTS = Path(__file__).parents[2] / "results"
SWEEPS = [path for path in sorted(RESULTS.glob("*.json")) if '"kind": "sweep"' in path.read_text()[:200]]


SHOWN = ("n_digits", "width_mixture", "decay_mixture", "batch_mixture")  # each kind of page; all if slow
PAGES = [
    pytest.param(path, id=path.stem, marks=[] if path.stem in SHOWN else [pytest.mark.slow])
    for path in SWEEPS
]


@pytest.mark.parametrize("path", PAGES)
def test_every_committed_sweep_has_a_page_and_a_sentence(path):
    """Whatever was varied, and whether items are images or points."""
    record = load_record(path)
    assert "nan" not in sentence(record).lower()
    assert len(registry.of(record)) >= 2
    if path.stem.startswith("lr"):  # the one factor that no other test varies; a page takes seconds
        assert "learning rate" in report(record)


NEW_PAGE = '''
"""A further kind of page."""

from memhorizon.report.page import Page, document

PAGE = Page(dict, lambda record: document(record["name"], ["<p>cake</p>"]), lambda record: "A cake.")
'''


def test_a_new_kind_of_page_is_one_new_file(tmp_path, monkeypatch):
    package = importlib.import_module("memhorizon.report")
    (tmp_path / "cake_page.py").write_text(NEW_PAGE)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    package._pages.cache_clear()
    try:
        assert "<p>cake</p>" in report({"name": "x"})
        assert sentence({"name": "x"}) == "A cake."
        with pytest.raises(
            InputError,
            match="expected one of AuditRecord, dict, ForecastRecord, MonitorRecord, PlanRecord, SweepRecord",
        ):
            report(None)
    finally:
        package._pages.cache_clear()
        sys.modules.pop("memhorizon.report.cake_page", None)
