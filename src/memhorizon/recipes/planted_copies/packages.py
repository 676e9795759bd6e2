"""Tools that are called in their packages, where installed; none of them needs weights or torchvision.

Tables and features are the images along the main directions of the training images.
"""

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import lru_cache
from importlib import import_module
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image
from torch import Tensor, nn

from memhorizon.recipes.planted_copies.suite import DIRECTIONS, Case
from memhorizon.recipes.planted_copies.tools import Tool, Verdict

K = 5  # of prdc
PHASH_NEAR = 10  # bits of 64: the default of imagededup
PDQ_NEAR = 31  # bits of 256: what PDQ's authors recommend
IDENTICAL = 1e-6  # distance of what mostlyai-qa calls an identical match


class Same(nn.Module):
    """A network whose features are its input."""

    num_features = DIRECTIONS

    def forward(self, table: Tensor) -> Tensor:
        """Return the features as they came."""
        return table


def torchmetrics_mifid(case: Case) -> Verdict:
    """The number of torchmetrics."""
    module = import_module("torchmetrics.image.mifid")
    metric = module.MemorizationInformedFrechetInceptionDistance(feature=Same(), normalize=True)
    metric.update(case.real.table, real=True)
    metric.update(case.table, real=False)
    return Verdict(float(metric.compute()))


class Overlap(NamedTuple):
    """The numbers of prdc that copies would move."""

    density: float
    coverage: float


@lru_cache(maxsize=1)
def _overlap(case: Case) -> Overlap:
    compute = import_module("prdc").compute_prdc
    with redirect_stdout(io.StringIO()):  # it prints
        found = compute(case.real.table.numpy(), case.table.numpy(), nearest_k=K)
    return Overlap(float(found["density"]), float(found["coverage"]))


def prdc_density(case: Case) -> Verdict:
    """Balls that hold a sample."""
    return Verdict(_overlap(case).density)


def prdc_coverage(case: Case) -> Verdict:
    """Balls that hold any sample."""
    return Verdict(_overlap(case).coverage)


class Closest(NamedTuple):
    """Distances of mostlyai-qa."""

    share: float
    ratio: float
    to_train: Float[np.ndarray, " m"]


@lru_cache(maxsize=1)
def _mostly(case: Case) -> Closest:
    """As its report does it: equally many samples, training and held-out records, columns made uniform."""
    pandas = import_module("pandas")
    qa = import_module("mostlyai.qa._distances")
    encode = import_module("mostlyai.qa._embeddings").encode_numerics
    m = len(case.table)
    sets = (case.table, case.real.table[:m], case.real.holdout_table[:m])
    frames = [pandas.DataFrame(table.numpy()).rename(columns=str) for table in sets]
    syn, trn, hol = (frame.to_numpy() for frame in encode(*frames))
    np.random.seed(0)  # noqa: NPY002 - it draws from there
    found = qa.calculate_distances(syn_embeds=syn, trn_embeds=trn, hol_embeds=hol)
    share = qa.calculate_dcr_share(found["dcr_syn_trn"], found["dcr_syn_hol"])
    ratio = qa.calculate_nndr_ratio(found["nndr_syn_trn"], found["nndr_syn_hol"])
    return Closest(float(share), float(ratio), found["dcr_syn_trn"])


def mostly_share(case: Case) -> Verdict:
    """Share of samples that are closer to training than to held-out records."""
    return Verdict(_mostly(case).share)


def mostly_ratio(case: Case) -> Verdict:
    """The tenth smallest ratio of distances, training over held-out records."""
    return Verdict(_mostly(case).ratio)


def mostly_identical(case: Case) -> Verdict:
    """Samples at distance zero."""
    return Verdict.of_flags(torch.from_numpy(_mostly(case).to_train <= IDENTICAL))


def linkability(case: Case) -> Verdict:
    """Excess success of an attacker who links one half of a record's columns to the other half."""
    pandas = import_module("pandas")
    evaluators = import_module("anonymeter.evaluators")
    sets = (case.real.table, case.table, case.real.holdout_table)
    ori, syn, control = (pandas.DataFrame(table.numpy()).rename(columns=str) for table in sets)
    halves = (list(ori.columns[::2]), list(ori.columns[1::2]))
    attack = evaluators.LinkabilityEvaluator(
        ori=ori, syn=syn, aux_cols=halves, n_attacks=len(syn) // 2, control=control
    )
    np.random.seed(0)  # noqa: NPY002 - it draws from there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where its attack is no better than chance
        attack.evaluate(n_jobs=1)
        return Verdict(float(attack.risk().value))


def vendi(case: Case) -> Verdict:
    """Effective number of different samples, by cosine similarity."""
    x = case.table.double()
    unit = x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return Verdict(float(import_module("vendi_score.vendi").score_dual(unit.numpy())))


def phash_near(case: Case) -> Verdict:
    """A perceptual hash within 10 bits of one of a training image."""
    return Verdict.of_flags(_bits_apart(case, _phashes) <= PHASH_NEAR)


def phash_equal(case: Case) -> Verdict:
    """An equal perceptual hash."""
    return Verdict.of_flags(_bits_apart(case, _phashes) == 0)


def pdq(case: Case) -> Verdict:
    """A PDQ hash within 31 bits."""
    return Verdict.of_flags(_bits_apart(case, _pdq_hashes) <= PDQ_NEAR)


@lru_cache(maxsize=8)
def _phashes(images: Tensor) -> Float32[Tensor, "n 64"]:
    phash = import_module("imagehash").phash
    return _signs([phash(Image.fromarray(picture)).hash.ravel() for picture in _pictures(images)])


@lru_cache(maxsize=8)
def _pdq_hashes(images: Tensor) -> Float32[Tensor, "n 256"]:
    compute = import_module("pdqhash").compute
    return _signs([compute(_colour(picture))[0] > 0 for picture in _pictures(images)])


def _signs(hashes: list[Bool[np.ndarray, " bits"]]) -> Float32[Tensor, "n bits"]:
    return torch.from_numpy(np.where(np.stack(hashes), 1.0, -1.0).astype(np.float32))


def _bits_apart(case: Case, hash_of: Callable[[Tensor], Tensor]) -> Float32[Tensor, " m"]:
    """The fewest bits in which a sample's hash differs from that of a training image."""
    a = hash_of(case.samples)
    b = hash_of(case.real.train)
    # for signs a, b of length k: a.b = k - 2 bits
    return (a.shape[1] - a @ b.T).amin(1) / 2


def _pictures(images: Tensor) -> list[UInt8[np.ndarray, "..."]]:
    """Pictures of 8 bits: [h, w] or [h, w, 3]."""
    levels = (255 * images).round().byte().movedim(1, -1).numpy()
    return list(levels[..., 0] if levels.shape[-1] == 1 else levels)


def _colour(picture: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "h w 3"]:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)


TOOLS = (
    Tool(
        "torchmetrics MiFID",
        "torchmetrics",
        "MemorizationInformedFrechetInceptionDistance",
        torchmetrics_mifid,
    ),
    Tool("prdc density", "prdc", "compute_prdc, nearest_k=5", prdc_density, 1, "slow"),
    Tool("prdc coverage", "prdc", "compute_prdc, nearest_k=5", prdc_coverage, 1, "slow"),
    Tool(
        "mostlyai identical", "mostlyai-qa", "calculate_distances, DCR <= 1e-6", mostly_identical, 1, "slow"
    ),
    Tool("mostlyai DCR share", "mostlyai-qa", "calculate_dcr_share", mostly_share, 1, "slow"),
    Tool("mostlyai NNDR", "mostlyai-qa", "calculate_nndr_ratio", mostly_ratio, -1, "slow"),
    Tool("anonymeter", "anonymeter", "LinkabilityEvaluator, halves of the columns", linkability, 1, "slow"),
    Tool("Vendi score", "vendi-score", "vendi.score_dual", vendi, -1),
    Tool("phash, 10 bits", "imagehash", "phash, distance <= 10 (imagededup's rule)", phash_near),
    Tool("phash, equal", "imagehash", "phash, equal (cleanvision's rule)", phash_equal),
    Tool("PDQ, 31 bits", "pdqhash", "compute, distance <= 31", pdq),
)
