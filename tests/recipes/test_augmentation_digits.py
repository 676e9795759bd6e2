"""Versions, groups and the number of images: by loops, planted laws and the committed record."""

import math

import numpy as np
import pytest
import torch

from evidence_records import (
    agree,
    drawn,
    inputs_are_those_beside,
    lines_of,
    not_reached,
    observed,
    read,
    shown,
)
from memhorizon.measure.memorization import gap_ratios
from memhorizon.recipes.augmentation_digits import numbers
from memhorizon.recipes.copies import copies_of, tau_mem_of
from memhorizon.recipes.settings import IMAGE_RULES
from memhorizon.recipes.tables import of_kind, rows_of


def test_versions_are_the_image_moved_by_a_pixel_and_mirrored():
    images = torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    found = numbers.versions(images, "both", background=-7.0)
    assert found.shape == (3, 10, 1, 4, 5)
    for version, (down, right) in enumerate(numbers.SHIFTS):
        moved = torch.full((3, 1, 4, 5), -7.0)
        for y in range(4):
            for x in range(5):
                if 0 <= y - down < 4 and 0 <= x - right < 5:
                    moved[..., y, x] = images[..., y - down, x - right]
        assert torch.equal(found[:, version], moved)
        assert torch.equal(found[:, version + 5], moved.flip(-1))
    assert torch.equal(numbers.versions(images, "none", 0.0)[:, 0], images)
    assert numbers.versions(images, "flips", 0.0).shape[1] == 2
    assert torch.equal(numbers.versions(images, "shifts", -7.0), found[:, :5])


def test_a_copy_of_a_version_is_a_copy_of_its_image_and_twins_do_not_hide_it():
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    each = numbers.versions(images, "both", 0.0)
    twins = torch.cat([each, each + 1e-3], 1)  # a second version that is hardly another
    group = torch.arange(6).repeat_interleave(20)
    sample = each[2, 7][None] + 0.02 * torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert float(gap_ratios(sample, twins.flatten(0, 1), group=group).max()) < 1 / 3
    assert float(gap_ratios(sample, twins.flatten(0, 1)).min()) > 1 / 3


def planted_times(generator, scatter):
    """tau = 30 n^1.2 with lognormal scatter: four n without augmentation, four runs of 5 versions."""
    reference = [
        numbers.ReferenceRow(n_train=n, seed=0, tau_mem=observed(30 * n**1.2 * math.exp(scatter * z)))
        for n in (16, 32, 64, 128)
        for z in generator.normal(size=3)
    ]
    own = [observed(30 * 50**1.2 * math.exp(scatter * z)) for z in generator.normal(size=4)]
    return reference, own


def images_of(reference, own):
    return numbers.effective(numbers.mean_time(own), numbers.law_of(reference))


def test_the_number_of_images_is_that_of_the_law():
    found = images_of(*planted_times(np.random.default_rng(0), 0.0))
    assert found.value == pytest.approx(50, rel=1e-3)


def test_its_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    draws = 150
    found = [images_of(*planted_times(generator, 0.2)) for _ in range(draws)]
    inside = sum(each.low < 50 < each.high for each in found)
    assert inside / draws > 0.95 - 4 * math.sqrt(0.95 * 0.05 / draws)


def test_a_bound_on_the_time_is_a_bound_on_the_number():
    reference, own = planted_times(np.random.default_rng(0), 0.1)
    found = images_of(reference, [not_reached(time.value) for time in own])
    assert (found.status, found.low) == ("at least", -math.inf)


def test_kinds_of_a_seed_share_images_and_length_differs():
    one, other = (numbers.config(kind, 1, "here") for kind in ("none", "both"))
    assert (one.data, one.seed, one.model) == (other.data, other.seed, other.model)
    assert other.train.n_updates > one.train.n_updates


@pytest.fixture(scope="module")
def kept():
    return rows_of(read("augmentation_digits"), "augmentation_digits", numbers.KINDS)


def test_the_record_of_augmentation_follows_from_its_curves(kept, tmp_path):
    inputs_are_those_beside(read("augmentation_digits"))
    runs = of_kind(kept, numbers.RunRow)
    wanted = {(kind, seed) for kind in numbers.STEPS for seed in numbers.SEEDS}
    assert {(row.kind, row.seed) for row in runs} == wanted
    for row in runs:
        counts = zip(row.memorized, row.total, strict=True)
        copied = copies_of(row.step, [round(value * total) for value, total in counts], row.total)
        agree(tau_mem_of(copied, row.null, IMAGE_RULES.memorized), row.tau_mem)
    reference = list(numbers.reference_rows(read("n_digits")))
    for made, old in zip(reference, of_kind(kept, numbers.ReferenceRow), strict=True):
        assert (made.n_train, made.seed) == (old.n_train, old.seed)
        agree(made.tau_mem, old.tau_mem, rel=1e-6)
    for made, old in zip(numbers.with_groups(runs, reference), kept, strict=True):
        if isinstance(old, numbers.GroupRow):
            agree(made.later, old.later)
            agree(made.effective, old.effective, rel=1e-3)
    drawn(read("augmentation_digits"), tmp_path)


def test_the_page_says_of_augmentation_what_the_record_says(kept):
    page = lines_of("augmentation_digits")
    rows = [*of_kind(kept, numbers.RunRow), *of_kind(kept, numbers.ReferenceRow)]
    assert shown(numbers.law_of(rows).exponents["n_train"]) in page
    groups = {row.kind: row for row in of_kind(kept, numbers.GroupRow)}
    for kind in ("flips", "shifts"):
        assert shown(groups[kind].later) in page
        assert shown(groups[kind].effective, 0) in page
    assert shown(groups["both"].later, 1) in page
    assert shown(groups["both"].effective, 0) in page
    assert shown(groups["none"].effective, 1) in page
    for row in groups.values():
        assert shown(row.best, 3) in page
