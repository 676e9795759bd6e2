"""Split conformal prediction on log residuals, where pilots are many.

Each run is forecast from smaller sets; its residual is measured in half-lengths of its interval. The quantile
of these scores by which the interval has to be widened makes it valid for runs that are exchangeable with
those.

Source: [lei2018]
"""

import math
from collections.abc import Sequence


def widening(scores: Sequence[float], confidence: float) -> float:
    """The factor by which intervals are to be widened; 1 where there are too few scores, or none is needed.

    It is the ceil((k + 1) confidence)-th smallest of k scores, which k < confidence / (1 - confidence) lack.

    >>> widening([0.5] * 8, 0.9), widening([0.5] * 8 + [1.5], 0.9)
    (1.0, 1.5)
    """
    count = len(scores)
    rank = math.ceil((count + 1) * confidence - 1e-9)
    if rank > count:
        return 1.0
    return max(1.0, sorted(scores)[rank - 1])
