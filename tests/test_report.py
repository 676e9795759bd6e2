import copy
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from memhorizon import figures
from memhorizon.experiments.record import Rules, record
from memhorizon.report import report, sentence
from memhorizon.report.words import time_text
from memhorizon.results import InputError, Time
from sweeps import make_runs

RULES = Rules(t=0.3, memorized=0.1)


def sweep(folder, **settings):
    runs = make_runs(folder, **settings)
    return json.loads(json.dumps(record(runs, RULES, name="a <b> & c", command="sweep --x '<y>'"))), runs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("made"), n_train=(8, 64, 512), steps=1500)


@pytest.fixture(scope="module")
def page(made):
    return report(*made)


class Reader(HTMLParser):
    """Everything that a browser might fetch or run, every id, and tags that were not closed."""

    VOID = ("meta", "path", "use", "image", "br")

    def __init__(self):
        super().__init__()
        self.links, self.tags, self.ids, self.open = [], set(), [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action", "data")]
        self.ids += [v for k, v in attributes if k == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


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
    for run in made[0]["runs"]:
        assert run["key"] in page


def test_the_same_record_gives_the_same_page(made, page):
    assert report(copy.deepcopy(made[0]), made[1]) == page


def test_without_run_directories_the_page_says_that_images_are_missing(made):
    assert "Not shown" in report(made[0])


def test_one_unfinished_run(tmp_path):
    made = sweep(tmp_path, n_train=(8,), until=400)
    page = report(*made)
    assert "1 of 1 runs are not finished" in page
    assert "not finished</td>" in page
    assert "How the times grow" not in page


def test_points_are_not_called_images(tmp_path):
    made = sweep(tmp_path, name="mixture", n_train=(8,), steps=600)
    assert "8 training points" in sentence(made[0])
    assert "nearest training images" not in report(*made)


def change(record, clock, i, **entries):
    """The record with other words for one time."""
    record["runs"][i]["times"][clock].update(entries)


def law(record, clock, value, low, high):
    record["laws"][clock].update(log_prefactor=1.0, covariance=[[0.01, 0.0], [0.0, 0.01]], scatter=0.1)
    record["laws"][clock]["exponents"]["n_train"].update(value=value, low=low, high=high)


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
            ["not settled by these runs (1.41 [0.71, 2.83]", "fixed level later too"],
        ),
        (
            (-1.0, -2.0, -0.5),
            (-1.0, -1.1, -0.9),
            ["0.50 [0.25, 0.71] times as long, that is less", "fixed level earlier"],
        ),
        ((1.0, -30.0, None), (0.0, -0.1, 0.1), ["2.00 [0, any]"]),
    ],
)
def test_the_sentence_follows_the_intervals(made, mem, gen, words):
    changed = copy.deepcopy(made[0])
    law(changed, "tau_mem", *mem)
    law(changed, "tau_gen", *gen)
    assert all(word in sentence(changed) for word in words), sentence(changed)


def test_the_sentence_does_not_invent_what_was_not_seen(made):
    assert "after step 1,500 with 512 training images" in sentence(made[0])
    changed = copy.deepcopy(made[0])
    for i in range(3):
        change(changed, "tau_mem", i, value=1500.0, low=1500.0, high=None, status="not reached")
        change(changed, "tau_gen", i, value=20.0, low=0.0, high=20.0, status="before first")
    changed["laws"] = {}
    assert "No run had begun to copy" in sentence(changed)
    assert "before the first look (step 20) in all runs" in sentence(changed)


def test_seeds_are_summed_up_with_their_range_and_their_censored_ones(tmp_path):
    made, _ = sweep(tmp_path, n_train=(8,), seeds=(0, 1, 2), steps=600)
    values = sorted(run["times"]["tau_mem"]["value"] for run in made["runs"])
    assert f"({values[0]:,.0f} to {values[2]:,.0f} over 3 seeds)" in sentence(made)
    change(made, "tau_mem", 0, value=600.0, high=None, status="not reached")
    assert "over 2 of 3 seeds" in sentence(made)
    change(made, "tau_mem", 1, value=600.0, high=None, status="not reached")
    assert "in 1 of 3 seeds" in sentence(made)


def test_times_are_written_as_what_is_known():
    assert time_text(Time(1234.0, 1000.0, 1500.0, "observed", "")) == "1,234 [1,000, 1,500]"
    assert time_text(Time(1234.0, 0.0, float("inf"), "observed", "")) == "1,234 [0, ∞]"
    assert time_text(Time(1800.0, 1700.0, float("inf"), "not reached", "")) == "> 1,800"
    assert time_text(Time(50.0, 0.0, 50.0, "before first", "")) == "< 50"


def test_a_record_that_is_none_is_refused():
    with pytest.raises(InputError, match="sweep"):
        report({"kind": "theory"})
    with pytest.raises(InputError, match="sweep"):
        sentence([])


RESULTS = Path(__file__).parents[1] / "results"
SWEEPS = [
    path for path in sorted(RESULTS.glob("*.json")) if json.loads(path.read_text()).get("kind") == "sweep"
]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_committed_sweep_has_a_page_and_a_sentence(path):
    """Whatever was varied, and whether items are images or points."""
    record = json.loads(path.read_text())
    assert "nan" not in sentence(record).lower()
    assert len(figures.of(record)) >= 2
    if path.stem.startswith("lr"):  # the one factor that no other test varies; a page takes seconds
        assert "learning rate" in report(record)
