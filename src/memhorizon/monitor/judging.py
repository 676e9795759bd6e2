"""What the samples of a look show: the share of copies, its limit, a Frechet distance.

A certified look has two limits, at numbers of samples that are fixed before the training: that which
certifies the target where no sample is a copy, and, where a few are, a larger one that allows for them, of
which the first samples are a part. With M looks there are K = 2 M limits, each at (1 - confidence)/K.
"""

import math
from dataclasses import replace

from jaxtyping import Float, Float64
from torch import Tensor

from memhorizon.measure.features import PCAFeatures, features_of, pca_features
from memhorizon.measure.quality import frechet_value
from memhorizon.monitor.certificate import certified_size, samples_needed, upper_limit
from memhorizon.monitor.copies import Found, expected_null
from memhorizon.monitor.settings import MonitorSets, MonitorSettings
from memhorizon.records.monitor import CopyRule, Look
from memhorizon.results import Fraction

FEWEST_FRECHET = 40  # held-out items that a Frechet distance is measured with
FEWEST_SAMPLES = 2  # finite ones, likewise
DIRECTIONS = 16  # that it is measured in, at most
SPARE = 5  # copies that the second limit allows for at least


class Judge:
    """Judges samples; the directions of the Frechet distance are found once.

    Attributes:
        first_size: samples of the first limit of a certified look.
        second_size: samples of its second limit, those of the first included.
    """

    def __init__(self, settings: MonitorSettings, sets: MonitorSets, rule: CopyRule) -> None:
        self._settings = settings
        self._sets = sets
        self._compared: tuple[PCAFeatures, Float64[Tensor, "h d"]] | None = None
        level = {"confidence": settings.confidence, "candidates": settings.candidates}
        null = expected_null(rule)
        self.first_size = samples_needed(settings.target, **level)
        spare = samples_needed(settings.target, **level, copies=SPARE)
        self.second_size = max(spare, certified_size(settings.target, null, **level))

    def sampled(self, look: Look, samples: Tensor, found: Found) -> Look:
        """The look with what its samples show; no certificate may come from it.

        Args:
            look: that they are of.
            samples: those that are finite, at least one. [m, *item]
            found: what they are nearest to.
        """
        return self._limited(look, found, len(samples), candidates=1)

    def certified(self, look: Look, samples: Tensor, found: Found) -> Look:
        """The look, likewise, as one of those that a certificate may come from."""
        limited = self._limited(look, found, len(samples), candidates=self._settings.candidates)
        return replace(limited, certified=True, frechet=self._frechet(samples))

    def _limited(self, look: Look, found: Found, total: int, *, candidates: int) -> Look:
        """The look with its share of copies, and the limit of it."""
        confidence = self._settings.confidence
        share = Fraction.of(found.count, total, confidence=confidence)
        upper = upper_limit(found.count, total, confidence=confidence, candidates=candidates)
        return replace(look, copies=share, upper=upper)

    def asks_more(self, found: Found) -> bool:
        """Whether a certified look goes on to its second limit: a few samples are copies, not too many."""
        if not found.count:
            return False
        size = max(self.second_size, len(found.ratio))
        settings = self._settings
        limit = upper_limit(found.count, size, confidence=settings.confidence, candidates=settings.candidates)
        return limit <= settings.target

    def _frechet(self, samples: Tensor) -> float:
        """The distance of samples to the held-out items in main directions of the training set."""
        holdout = self._sets.holdout
        if holdout is None or len(holdout) < FEWEST_FRECHET or len(samples) < FEWEST_SAMPLES:
            return math.nan
        if self._compared is None:
            features = main_directions(self._sets.train)
            self._compared = features, features_of(holdout.cpu(), "holdout", features, len(holdout))
        features, others = self._compared
        return frechet_value(features_of(samples, "samples", features, len(samples)), others)


def main_directions(train: Float[Tensor, " n *item"]) -> PCAFeatures:
    """The directions of a training set that Frechet distances are measured in: 16 or as many as it has."""
    dim = min(DIRECTIONS, len(train) - 1, train[0].numel())
    return pca_features(train.cpu(), dim)
