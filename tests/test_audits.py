"""`mh.audit` and its report: what is planted is found, and every form of the answer says the same."""

import csv
import json
import math
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch

import memhorizon as mh
from audit_records import small
from memhorizon.auditing.leaning import MEMBERSHIP
from memhorizon.records.audit import AuditRecord
from memhorizon.records.files import to_text

N_COPIES = 20
VIEWS = ("pixels",)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def items():
    """80 samples of which the first 20 are copies, 400 training items, 100 held-out ones."""
    every = noise(560, 1, 8, 8)
    train, holdout, fresh = np.split(every, [400, 500])
    return np.concatenate([train[:N_COPIES], fresh]), train, holdout


@pytest.fixture(scope="module")
def report(items):
    samples, train, holdout = items
    return mh.audit(samples, train, holdout=holdout, views=VIEWS)


@pytest.fixture(scope="module")
def made():
    return small()


def test_what_was_planted_is_found(report):
    assert report.copies.count == N_COPIES
    assert [row["is_copy"] for row in report.frame()] == [True] * N_COPIES + [False] * 60
    assert [row["nearest"] for row in report.frame()][:N_COPIES] == list(range(N_COPIES))
    assert {(row["sample_index"], row["train_index"]) for row in report.pairs} == {
        (i, i) for i in range(N_COPIES)
    }
    p = [row["p"] for row in report.pairs]
    assert p == sorted(p)
    assert report.null.total == 100
    # R = 200 reference items: k copies of 80 are reported if 80 / (201 k) <= 0.05
    assert report.smallest_reportable == math.ceil(80 / 201 / 0.05)


def test_it_is_the_report_and_its_record(report):
    one, answer = report
    assert one is report
    assert answer is report.record()
    assert isinstance(answer, AuditRecord)
    assert repr(report) == "AuditReport(copies 0.2500 [0.1599, 0.3594] (20 of 80), fdr 0.05)"


def test_paths_and_arrays_have_the_same_answer(items, report, tmp_path):
    paths = [tmp_path / f"{i}.npy" for i in range(3)]
    for path, array in zip(paths, items, strict=True):
        np.save(path, array)
    again = mh.audit(paths[0], str(paths[1]), holdout=mh.load_images(paths[2]), views=VIEWS)
    assert again.frame() == report.frame()
    assert [one.digest for one in again.answer.sets] == [one.digest for one in report.answer.sets]
    assert [one.source for one in again.answer.sets] == [str(paths[0]), str(paths[1]), "array"]


def test_swapping_samples_and_training_items_is_another_question(items):
    samples, train, _ = items
    swapped = mh.audit(train, samples, views=VIEWS)
    assert swapped.copies.total == 400
    assert swapped.copies.count != N_COPIES


def test_the_cache_changes_no_answer_and_the_seed_draws_other_reference_items(items, report, tmp_path):
    samples, train, holdout = items
    texts = {
        to_text(mh.audit(samples, train, holdout=holdout, views=VIEWS, cache=tmp_path / "c").answer)
        for _ in range(2)
    }
    assert texts == {to_text(report.answer)}
    other = mh.audit(samples, train, views=VIEWS, seed=1)
    assert [row["p"] for row in other.frame()] != [row["p"] for row in report.frame()]
    assert other.copies.count == N_COPIES


def test_test_items_in_a_training_set_are_found(items):
    """The other question of the same call."""
    _, train, holdout = items
    leaked = np.concatenate([holdout[:40], train[100:115]])
    found = mh.audit(leaked, train, views=VIEWS)
    assert {(row["sample_index"], row["train_index"]) for row in found.pairs} == {
        (40 + i, 100 + i) for i in range(15)
    }


def test_bad_items_are_skipped_and_not_counted(items):
    samples, train, _ = items
    bad = samples.copy()
    bad[30, 0, 0, 0] = np.nan
    bad[40] = 0.5
    found = mh.audit(bad, train, views=VIEWS)
    assert found.copies.total == 78
    assert found.skipped == [
        {"set": "samples", "name": "30", "reason": "holds NaN or infinity, or numbers too large for 32 bits"},
        {"set": "samples", "name": "40", "reason": "constant picture, every pixel is the same"},
    ]
    assert [row["name"] for row in found.frame()] == [str(i) for i in range(80) if i not in (30, 40)]


def test_progress_is_told(items):
    samples, train, _ = items
    seen = []
    mh.audit(samples, train, views=VIEWS, progress=lambda *event: seen.append(event))
    assert seen
    assert all(isinstance(what, str) and 0 <= done <= total for what, done, total in seen)
    last = {what: (done, total) for what, done, total in seen}
    assert all(done == total for done, total in last.values())


def test_wrong_kinds_are_refused(report, monkeypatch, tmp_path):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    with pytest.raises(mh.InputError, match="^private: "):
        report.to_html(tmp_path / "x.html", private=1)
    for wrong in (None, 5, {}):
        with pytest.raises(mh.InputError, match="^answer: expected a AuditRecord"):
            mh.AuditReport(wrong)
        with pytest.raises(mh.InputError, match="^path: expected a path"):
            report.save(wrong)
    for wrong in ("a", None):
        with pytest.raises(mh.InputError, match="^max_copies: "):
            report.passed(max_copies=wrong)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"views": "pixels"}, "views"),
        ({"views": ()}, "views"),
        ({"views": ("pixel",)}, "views"),
        ({"views": ("pixels", "pixels")}, "views"),
        ({"views": 5}, "views"),
        ({"views": ("features",)}, "features"),
        ({"features": 5}, "features"),
        ({"features": "/nowhere.onnx"}, "features"),
        ({"fdr": 0}, "fdr"),
        ({"fdr": 1.0}, "fdr"),
        ({"fdr": "a"}, "fdr"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"n_reference": 0}, "n_reference"),
        ({"n_reference": 5}, "train"),
        ({"size": 0}, "size"),
        ({"grey": 1}, "grey"),
        ({"same_units": 1}, "same_units"),
        ({"progress": 5}, "progress"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": math.nan}, "minutes"),
        ({"cache": 5}, "cache"),
        ({"holdout": 5}, "holdout"),
    ],
)
def test_what_is_no_option_is_named(items, options, name, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    samples, train, _ = items
    with pytest.raises(mh.InputError, match=name):
        mh.audit(samples, train, **({"views": VIEWS} | options))


def test_too_few_training_items_are_refused_at_once(items):
    samples, train, holdout = items
    with pytest.raises(mh.InputError, match="expected at least 38 items"):
        mh.audit(samples, train[:37], views=VIEWS)
    with pytest.raises(mh.InputError, match="expected at least 38 items"):
        mh.audit(samples, train[:37], holdout=holdout[:18], views=VIEWS)


# --- forms of the answer ---


def test_undecided_samples_count_where_they_are_asked_to(made):
    """None is reported; those with the smallest possible p-values are undecided."""
    none = mh.Fraction.of(0, made.record.copies.total)
    honest = tuple(replace(one, is_copy=False, is_guaranteed=False) for one in made.record.samples)
    report = mh.AuditReport(replace(made.record, copies=none, guaranteed=none, samples=honest))
    least = 2 / (made.record.n_reference + 1)
    unsure = sum(one.p <= least * 1.000001 for one in honest)
    assert 0 < unsure == len(report.undecided) < len(honest)
    assert report.passed()
    assert not report.passed(fail_undecided=True)
    assert report.passed(unsure / len(honest), fail_undecided=True)
    assert not report.passed((unsure - 0.5) / len(honest), fail_undecided=True)


def test_passing_is_a_share(report, made):
    assert not report.passed()
    assert not report.passed(max_copies=0.2499)
    assert report.passed(max_copies=0.25)
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(mh.InputError, match="^max_copies: "):
            report.passed(max_copies=bad)
    blind = mh.AuditReport(small(smallest_reportable=None, copies=mh.Fraction.of(0, 100)).record)
    assert not blind.passed(max_copies=1)


def test_the_record_comes_back(report, tmp_path):
    path = report.save(tmp_path / "audit.json")
    again = mh.AuditReport(mh.load_record(path))
    assert again.frame() == report.frame()
    assert again.summary() == report.summary()
    before = path.read_bytes()
    report.save(path)
    assert path.read_bytes() == before
    assert json.loads(before)["kind"] == "audit"
    again.to_html(tmp_path / "page.html")  # without pictures


def test_pairs_are_a_csv_file(report, tmp_path):
    with report.save_pairs(tmp_path / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == [row["sample"] for row in report.pairs]
    assert [float(row["q"]) for row in rows] == [row["q"] for row in report.pairs]


def test_the_page_is_one_file_and_private_if_asked(report, tmp_path):
    path = report.to_html(tmp_path)
    assert path == tmp_path / "report.html"
    page = path.read_text()
    assert "20" in page
    assert "data:image/png" in page
    hidden = report.to_html(tmp_path / "private.html", private=True).read_text()
    assert "SHA-256" in hidden
    assert "data:image/png" not in hidden or "<img" not in hidden
    for path in ("/dev/null/x.html", tmp_path / "report.html" / "x.html"):
        with pytest.raises(mh.InputError, match="^path: cannot write"):
            report.to_html(path)


def test_a_private_report_names_nothing(made, tmp_path):
    hidden = mh.AuditReport(made.record).private()
    shown = (
        f"{hidden.save(tmp_path / 'a.json').read_text()} {hidden.save_pairs(tmp_path / 'a.csv').read_text()}"
    )
    for name in ("generated/", "train/", ".png", "--samples"):
        assert name in to_text(made.record)
        assert name not in shown
    assert [row["p"] for row in hidden.frame()] == [one.p for one in made.record.samples]


def test_vectors_have_a_page_without_pictures(tmp_path):
    vectors = torch.from_numpy(noise(300, 6))
    found = mh.audit(torch.cat([vectors[:10], vectors[200:]]), vectors[:200], views=VIEWS)
    assert "<img" not in found.to_html(tmp_path / "page.html").read_text()


def test_the_summary_keeps_three_answers_apart(made):
    text = mh.AuditReport(made.record).summary()
    lines = dict(line.split(": ", 1) for line in text.splitlines())
    assert list(lines) == ["Copies", "Share", "Duplicates", "Shared", "Skipped", "Leaning", "Membership"]
    record = made.record
    assert f"{record.copies.count:,} of 100 samples" in lines["Copies"]
    assert "12 training items are 6 groups of duplicates" in lines["Duplicates"]
    assert "2 held-out items are in the training set" in lines["Shared"]
    assert lines["Skipped"].startswith("1 of samples")
    assert f"{100 * record.leaning.share:.1f} %" in lines["Leaning"]
    assert lines["Leaning"].endswith("Leaning is not copying.")
    assert lines["Membership"] == MEMBERSHIP


def test_nothing_found_has_an_upper_limit(report):
    """0 of 1,000 leave 1 - 0.025^(1/1000) = 0.37 %."""
    none = [vars(one) | {"is_copy": False, "is_guaranteed": False} for one in report.answer.samples]
    entries = vars(report.answer) | {
        "samples": tuple(type(report.answer.samples[0])(**one) for one in none) * 12
        + tuple(type(report.answer.samples[0])(**one) for one in none[:40]),
        "copies": mh.Fraction.of(0, 1000),
        "guaranteed": mh.Fraction.of(0, 1000),
    }
    text = mh.AuditReport(AuditRecord(**entries)).summary()
    assert text.startswith("Copies: None of the 1,000 samples is reported as a copy")
    assert "Share: 0.0 % [0.0, 0.4] of the samples" in text
