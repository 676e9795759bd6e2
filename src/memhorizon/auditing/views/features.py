"""The view of features: what a network, or any function, makes of an item."""

from jaxtyping import Float, Int, Shaped
from torch import Tensor

from memhorizon.auditing.feature_vectors import embedded
from memhorizon.auditing.views.vectors import VectorView
from memhorizon.measure.features import Function, check_features

NAME = "features"
_WORDS = "the features of an item"


def features(
    train: Shaped[Tensor, " n *item"], group: Int[Tensor, " n"], embed: Function | None, note: str
) -> VectorView:
    """The view of features.

    Args:
        train: training items.
        group: number of the group of duplicates of each.
        embed: gives the vectors of a batch of items, in eval mode; None where the items that this view is
            asked about are vectors already, as `feature_vectors` gives them: so each goes through a network
            once.
        note: what the features are.

    Raises:
        InputError: if the function fails, or gives no finite vectors of one size.
    """
    function = check_features(embed)

    def vectors(items: Shaped[Tensor, " q *item"]) -> Float[Tensor, "q d"]:
        return items.flatten(1) if function is None else embedded(items, function, "items")

    return VectorView(NAME, _WORDS, note, vectors, vectors(train), group)
