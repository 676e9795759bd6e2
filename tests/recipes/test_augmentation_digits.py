"""Versions, groups and the number of images: by loops, planted laws and the committed record."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from evidence_records import agree, lines_of, observed, read, rows_of, shown
from memhorizon.experiments import recipes
from memhorizon.measure.memorization import gap_ratios

augmentation = recipes.load("augmentation_digits")
RECORDS = Path(__file__).parents[2] / "results"


def test_versions_are_the_image_moved_by_a_pixel_and_mirrored():
    images = torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    found = augmentation.versions(images, "both", background=-7.0)
    assert found.shape == (3, 10, 1, 4, 5)
    for version, (down, right) in enumerate(augmentation.SHIFTS):
        moved = torch.full((3, 1, 4, 5), -7.0)
        for y in range(4):
            for x in range(5):
                if 0 <= y - down < 4 and 0 <= x - right < 5:
                    moved[..., y, x] = images[..., y - down, x - right]
        assert torch.equal(found[:, version], moved)
        assert torch.equal(found[:, version + 5], moved.flip(-1))
    assert torch.equal(augmentation.versions(images, "none", 0.0)[:, 0], images)
    assert augmentation.versions(images, "flips", 0.0).shape[1] == 2
    assert torch.equal(augmentation.versions(images, "shifts", -7.0), found[:, :5])


def test_a_copy_of_a_version_is_a_copy_of_its_image_and_twins_do_not_hide_it():
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    each = augmentation.versions(images, "both", 0.0)
    twins = torch.cat([each, each + 1e-3], 1)  # a second version that is hardly another
    group = torch.arange(6).repeat_interleave(20)
    sample = each[2, 7][None] + 0.02 * torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert float(gap_ratios(sample, twins.flatten(0, 1), group=group).max()) < 1 / 3
    assert float(gap_ratios(sample, twins.flatten(0, 1)).min()) > 1 / 3


def planted_times(generator, scatter):
    """tau = 30 n^1.2 with lognormal scatter: four n without augmentation, four runs of 5 versions."""
    reference = [
        {"kind": "none", "n_train": n, "tau_mem": observed(30 * n**1.2 * math.exp(scatter * z))}
        for n in (16, 32, 64, 128)
        for z in generator.normal(size=3)
    ]
    own = [30 * 50**1.2 * math.exp(scatter * z) for z in generator.normal(size=4)]
    return reference, own


def test_the_number_of_images_is_that_of_the_law():
    reference, own = planted_times(np.random.default_rng(0), 0.0)
    found = augmentation.effective(observed(own[0]), augmentation.law_of(reference))
    assert found["value"] == pytest.approx(50, rel=1e-3)


def test_its_interval_covers_the_truth_as_often_as_it_says():
    generator, draws, inside = np.random.default_rng(1), 150, 0
    for _ in range(draws):
        reference, own = planted_times(generator, 0.2)
        tau = augmentation.geometric_mean([(math.log(value), 0) for value in own])
        found = augmentation.effective(tau, augmentation.law_of(reference))
        inside += found["low"] < 50 < found["high"]
    assert inside / draws > 0.95 - 4 * math.sqrt(0.95 * 0.05 / draws)


def test_a_bound_on_the_time_is_a_bound_on_the_number():
    reference, own = planted_times(np.random.default_rng(0), 0.1)
    tau = augmentation.geometric_mean([(math.log(value), 1) for value in own])
    found = augmentation.effective(tau, augmentation.law_of(reference))
    assert (found["status"], found["low"]) == ("at least", None)


def test_kinds_of_a_seed_share_images_and_length_differs():
    one, other = (augmentation.config(kind, 1, "here") for kind in ("none", "both"))
    assert (one.data, one.seed, one.model) == (other.data, other.seed, other.model)
    assert other.train.n_updates > one.train.n_updates


def test_the_record_of_augmentation_follows_from_its_curves():
    record = read(augmentation)
    runs = rows_of(record, "run")
    assert {(row["kind"], row["seed"]) for row in runs} == {
        (kind, seed) for kind in augmentation.STEPS for seed in augmentation.SEEDS
    }
    for row in runs:
        fractions = [
            augmentation.Fraction.of(round(value * total), total)
            for value, total in zip(row["memorized"], row["total"], strict=True)
        ]
        curve = augmentation.Curve.of_fractions(row["step"], fractions)
        null = augmentation.Fraction.of(*row["null"])
        agree(row, "tau_mem", augmentation.memorization_time(curve, level=0.1, null=null))
    sweep = json.loads((RECORDS / "n_digits.json").read_text())
    for row, made in zip(rows_of(record, "reference"), augmentation.reference_rows(sweep), strict=True):
        assert (row["n_train"], row["seed"]) == (made["n_train"], made["seed"])
        assert row["tau_mem"]["value"] == pytest.approx(made["tau_mem"]["value"], rel=1e-6)


def test_the_page_says_of_augmentation_what_the_record_says():
    summary, page = read(augmentation)["summary"], lines_of(augmentation)
    assert shown(summary["exponent of n"]) in page
    for kind in ("flips", "shifts"):
        assert shown(summary[kind]["later"]) in page
        assert shown(summary[kind]["effective"], 0) in page
    assert shown(summary["both"]["later"], 1) in page
    assert shown(summary["both"]["effective"], 0) in page
    assert shown(summary["none"]["effective"], 1) in page
    for kind in augmentation.STEPS:
        assert shown(summary[kind]["best"], 3) in page
