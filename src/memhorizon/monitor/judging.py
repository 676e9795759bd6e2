"""What the samples of a look show: the share of copies, its limit, a Frechet distance."""

import math
from dataclasses import replace

from torch import Tensor

from memhorizon.measure.features import PCAFeatures, pca_features
from memhorizon.measure.quality import frechet_distance
from memhorizon.monitor.certificate import certified_size, upper_limit
from memhorizon.monitor.copies import Found, expected_null
from memhorizon.monitor.settings import MonitorSets, MonitorSettings
from memhorizon.records.monitor import CopyRule, Look
from memhorizon.results import Fraction

FEWEST_FRECHET = 40  # held-out items that a Frechet distance is measured with
FEWEST_SAMPLES = 2  # finite ones, likewise
DIRECTIONS = 16  # that it is measured in, at most
WORTH = 0.6  # of the target: the most copies seen with which a certificate is tried again


class Judge:
    """Judges samples; the directions of the Frechet distance are found once.

    Attributes:
        certified_size: samples of a certified look.
    """

    def __init__(self, settings: MonitorSettings, sets: MonitorSets, rule: CopyRule) -> None:
        self._settings = settings
        self._sets = sets
        self._features: PCAFeatures | None = None
        self.certified_size = self._size(expected_null(rule))

    def judged(self, look: Look, samples: Tensor, found: Found, *, certified: bool) -> Look:
        """The look with what its samples show.

        Args:
            look: that they are of.
            samples: those that are finite, at least one. [m, *item]
            found: what they are nearest to.
            certified: whether the look is one of the K that a certificate may come from.
        """
        confidence = self._settings.confidence
        candidates = self._settings.most_certificates if certified else 1
        total = len(samples)
        return replace(
            look,
            copies=Fraction.of(found.count, total, confidence=confidence),
            upper=upper_limit(found.count, total, confidence=confidence, candidates=candidates),
            certified=certified,
            frechet=self._frechet(samples) if certified else math.nan,
        )

    def size_again(self, look: Look) -> int:
        """The size of a second try; 0 where none is needed, or where it would hardly help."""
        target = self._settings.target
        if look.copies is None or look.upper <= target or look.copies.value > WORTH * target:
            return 0
        return self._size(look.copies.value)

    def _size(self, share: float) -> int:
        """How many samples certify the target where such a share is called copies."""
        return certified_size(
            self._settings.target,
            share,
            confidence=self._settings.confidence,
            candidates=self._settings.most_certificates,
        )

    def _frechet(self, samples: Tensor) -> float:
        """The distance of samples to the held-out items in main directions of the training set."""
        holdout = self._sets.holdout
        if holdout is None or len(holdout) < FEWEST_FRECHET or len(samples) < FEWEST_SAMPLES:
            return math.nan
        if self._features is None:
            dim = min(DIRECTIONS, len(self._sets.train) - 1, holdout[0].numel())
            self._features = pca_features(self._sets.train.cpu(), dim)
        return frechet_distance(samples, holdout.cpu(), features=self._features, same_units=True).value
