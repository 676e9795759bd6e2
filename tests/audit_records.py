"""Records of small audits of real images, with the pictures for their pages: statistics and rules as shipped.

Distances are made of products of matrices in float64: that of equal images comes out near 1e-7, not 0.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from memhorizon.auditing.conditional import conditional_p_values
from memhorizon.auditing.evalues import guaranteed_copies
from memhorizon.auditing.leaning import leaning
from memhorizon.auditing.planted import EDITS
from memhorizon.auditing.scores import Changes, Scores
from memhorizon.auditing.statistics import benjamini_hochberg, conformal_p_values, smallest_reportable
from memhorizon.files.idx import read_idx
from memhorizon.files.layouts import read_digits
from memhorizon.records.audit import (
    AuditedSample,
    AuditRecord,
    CopiedItem,
    DuplicateGroup,
    ItemSet,
    LeaningFacts,
    SharedItem,
    ViewFacts,
)
from memhorizon.records.sweep import Skipped
from memhorizon.report.audit_page import AuditPictures
from memhorizon.results import Fraction
from scenes import scenes

FASHION = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
FDR = 0.05
COMPARES = {
    "pixels": "all values",
    "coarse": "means over 4 x 4 pixels",
    "aligned": "means over 2 x 2 pixels, over flips",
}


class Made(NamedTuple):
    record: AuditRecord
    pictures: AuditPictures


def digits(count):
    return read_digits()[0][:count]


def colour_scenes(count, side=32):
    return scenes(count, side, generator=torch.Generator().manual_seed(5))


def views_of(images):
    """What each view compares, as rows of numbers; the second entry flipped, where flips count."""
    flat = images.flatten(1).double().numpy()
    coarse = F.avg_pool2d(images, 4).flatten(1).double().numpy()
    half = F.avg_pool2d(images, 2)
    return {
        "pixels": (flat, flat),
        "coarse": (coarse, coarse),
        "aligned": (half.flatten(1).double().numpy(), half.flip(-1).flatten(1).double().numpy()),
    }


def distances(one, other):
    """The smaller of the distances of the items as they are, and of the first ones flipped."""
    plain = lengths(one[0], other[0])
    return plain if one[0] is one[1] else np.minimum(plain, lengths(one[1], other[0]))


def lengths(one, other):
    """|a - b| = sqrt(|a|^2 + |b|^2 - 2 a b)."""
    squares = np.sum(one**2, axis=1)[:, None] + np.sum(other**2, axis=1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0))


def scores_of(name, train, samples, n_reference):
    """d1 / d2 of a view; the first training items are the reference. Distinct items only."""
    apart = distances(samples, train)
    first_ones = train[0][:n_reference]
    turned = first_ones if train[1] is train[0] else train[1][:n_reference]
    among = distances((first_ones, turned), train)
    among[np.arange(n_reference), np.arange(n_reference)] = np.inf
    d1, d2 = np.partition(among, 1, axis=1)[:, :2].T
    joined = apart[:, :n_reference]
    row, item = np.nonzero(joined < d2)
    three = np.sort(np.stack([d1[item], d2[item], joined[row, item]]), axis=0)
    first, second = np.partition(apart, 1, axis=1)[:, :2].T
    changes = Changes(row, item, three[0] / three[1])
    return Scores(name, first / second, d1 / d2, changes, apart.argmin(axis=1))


def facts_of(scores, copies):
    edges = np.linspace(0, 1, 41)
    return ViewFacts(
        name=scores.name,
        compares=COMPARES[scores.name],
        edges=edges,
        samples=np.histogram(scores.sample, edges)[0].astype(float),
        reference=np.histogram(scores.reference, edges)[0].astype(float),
        copies=copies,
        note="sides were cut to a multiple of 4" if scores.name == "coarse" else "",
    )


def samples_of(p_values, scores, flipped, names, train_names):
    found = benjamini_hochberg(p_values.p, FDR)
    sure = guaranteed_copies(p_values, FDR).rejected
    answers = []
    for j, name in enumerate(names):
        own = scores[p_values.view[j]]
        nearest = int(own.nearest[j])
        edit = ("flipped" if flipped[j] else "as it is") if own.name == "aligned" else ""
        answers.append(
            AuditedSample(
                index=j,
                name=name,
                p=float(p_values.p[j]),
                q=float(found.q[j]),
                is_copy=bool(found.rejected[j]),
                is_guaranteed=bool(sure[j]),
                view=own.name,
                statistic=float(own.sample[j]),
                nearest=nearest,
                nearest_name=train_names[nearest],
                edit=edit,
            )
        )
    return tuple(answers)


def planted_among(honest, train, copies, generator):
    """Honest images, the first ones replaced by edited copies: so many of each edit, one item three times."""
    samples = honest.clone()
    start = 0
    for edit, count in copies.items():
        source = torch.randperm(len(train), generator=generator)[:count]
        source[:3] = source[0]
        samples[start : start + count] = EDITS[edit](train[source], generator)
        start += count
    return samples[torch.randperm(len(samples), generator=generator)]


def leaning_facts(train, holdout, samples, rng):
    """Of as many training as held-out images, how many samples have one as their nearest."""
    k = len(holdout)
    records = torch.cat([train[:k], holdout]).flatten(1).double().numpy()
    nearest = lengths(samples.flatten(1).double().numpy(), records).argmin(axis=1)
    counts = np.bincount(nearest, minlength=2 * k)
    found = leaning(counts, np.arange(2 * k) < k, generator=rng, n_permutations=999)
    return LeaningFacts(
        found.share, found.low, found.high, found.p, found.confidence, len(samples), k, found.n_permutations
    )


def audited(images, *, n_train, n_reference, n_holdout, copies, twice=6, seed=0):
    """An audit of images of which some are training images, some held-out ones and some samples.

    Args:
        images: distinct, [n, c, h, w], 0 to 1.
        n_train: distinct training images.
        n_reference: how many of them are reference items.
        n_holdout: held-out images; two more are training images.
        copies: number of copies by edit; all other images are honest samples.
        twice: training images that occur twice.
        seed: of all draws.
    """
    generator = torch.Generator().manual_seed(seed)
    images = images[torch.randperm(len(images), generator=generator)]
    distinct, holdout, honest = images.split([n_train, n_holdout, len(images) - n_train - n_holdout])
    samples = planted_among(honest, distinct, copies, generator)
    train = torch.cat([distinct, distinct[-twice:]])
    names = [f"generated/{j:05d}.png" for j in range(len(samples))]
    train_names = [f"train/img_{i:05d}.png" for i in range(len(train))]

    of_train, of_samples, of_holdout = views_of(distinct), views_of(samples), views_of(holdout)
    scores = [scores_of(v, of_train[v], of_samples[v], n_reference) for v in COMPARES]
    p_values = conformal_p_values(scores)
    plain, turned = of_samples["aligned"]
    flipped = lengths(turned, of_train["aligned"][0]).min(1) < lengths(plain, of_train["aligned"][0]).min(1)
    answers = samples_of(p_values, scores, flipped, names, train_names)
    null = conformal_p_values([scores_of(v, of_train[v], of_holdout[v], n_reference) for v in COMPARES])

    found = benjamini_hochberg(p_values.p, FDR).rejected
    nearest = np.array([one.nearest for one in answers])
    items, counts = np.unique(nearest[found], return_counts=True)
    per_view = [int(np.sum(found & (p_values.view == v))) for v in range(len(scores))]
    shared = tuple(
        SharedItem(n_holdout + k, f"holdout/{n_holdout + k:05d}.png", k, train_names[k], 0.0) for k in (0, 1)
    )
    shape = tuple(images.shape[1:])
    record = AuditRecord(
        copies=Fraction.of(int(found.sum()), len(samples)),
        guaranteed=Fraction.of(sum(one.is_guaranteed for one in answers), len(samples)),
        null=Fraction.of(int(benjamini_hochberg(null.p, FDR).rejected.sum()), n_holdout),
        fdr=FDR,
        n_reference=n_reference,
        reference="train",
        resolution=p_values.resolution,
        smallest_reportable=smallest_reportable(len(samples), p_values.resolution, FDR),
        confident=int(benjamini_hochberg(conditional_p_values(p_values).p, FDR).rejected.sum()),
        samples=answers,
        views=tuple(facts_of(own, count) for own, count in zip(scores, per_view, strict=True)),
        sets=(
            ItemSet(
                "samples",
                "generated",
                len(samples),
                shape,
                shape,
                "sha256:" + 64 * "a",
                (Skipped("generated/broken.png", "cannot be decoded (OSError: truncated)"),),
                3,
            ),
            ItemSet("train", "train", len(train), shape, shape, "sha256:" + 64 * "b"),
            ItemSet("holdout", "holdout", n_holdout + 2, shape, shape, "sha256:" + 64 * "c"),
        ),
        most_copied=tuple(
            CopiedItem(int(i), train_names[i], int(c)) for i, c in zip(items, counts, strict=True)
        ),
        duplicates=tuple(
            DuplicateGroup((i, i + twice), (train_names[i], train_names[i + twice]))
            for i in range(n_train - twice, n_train)
        ),
        duplicate_rule="equal values",
        shared=shared,
        leaning=leaning_facts(distinct, holdout, samples, np.random.default_rng(seed)),
        seed=seed,
        command="memhorizon audit --samples generated --train train --holdout holdout",
        environment={"memhorizon": "0.2.0", "torch": "2.5.1+cpu", "numpy": "2.1.0", "python": "3.11.2"},
    )
    registered = {
        one.index: train[one.nearest].flip(-1) if one.edit == "flipped" else train[one.nearest]
        for one in answers
        if one.view == "aligned"
    }
    pictures = AuditPictures(samples, train, torch.cat([holdout, distinct[:2]]), registered)
    return Made(record, pictures)


def small(**changes):
    """Digits: 800 training images, 400 of them the reference, 100 samples with 30 copies."""
    made = audited(
        digits(1000), n_train=800, n_reference=400, n_holdout=100, copies={"exact": 20, "flip": 10}
    )
    return Made(replace(made.record, **changes), made.pictures)


def fashion(seed=0):
    """Fashion-MNIST: 1,200 training images, 600 of them the reference, 200 samples with 40 copies."""
    images = read_idx(FASHION, ndim=3)[:1600, None].to(torch.float32) / 255
    edits = {"exact": 10, "noise 0.05": 10, "flip": 10, "jpeg 50": 10}
    return audited(images, n_train=1200, n_reference=600, n_holdout=200, copies=edits, seed=seed)
