"""The vectors of features that an audit compares: what a function makes of its items, or what was given.

Every item goes through the function once, so many at a time; what a network that is known by its file makes
of them is kept in the cache, in parts, so that an audit that was interrupted resumes.

The p-values are exact for any function that has not seen the reference items: one that was trained on the
training set may treat its items in another way than fresh ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from memhorizon.auditing.views.base import Report
from memhorizon.errors import InputError
from memhorizon.eval_mode import device_of_model
from memhorizon.experiments.cache import Cache, Tensors, cached
from memhorizon.files.digests import digest_of
from memhorizon.files.images import ImageSet
from memhorizon.files.mapped import blocks, by_blocks, is_mapped
from memhorizon.measure.extractors.base import Extractor
from memhorizon.measure.extractors.loading import NetworkSource, load_features
from memhorizon.measure.features import Function, features_of
from memhorizon.measure.items import Numbers, as_numbers

if TYPE_CHECKING:
    FeatureSource: TypeAlias = NetworkSource | Mapping[str, Numbers]
else:  # checked by `feature_vectors`
    FeatureSource = object

BATCH = 64  # items in a network at a time
PART = 2048  # items of a file of the cache
_LARGEST = 1e15  # the squares of larger numbers overflow in 32 bits when they are summed
_GIVEN = "vectors that were given"
_FUNCTION = "what a function makes of an item"


@dataclass(frozen=True, eq=False)
class FeatureVectors:
    """The vectors of all items of an audit.

    Attributes:
        vectors: those of each set, by its name. [n, d]
        note: what they are, in words.
    """

    vectors: Mapping[str, Tensor]
    note: str


def feature_vectors(
    source: FeatureSource,
    given: Mapping[str, ImageSet],
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    cache: Cache | None = None,
    device: torch.device | None = None,
    report: Report,
) -> FeatureVectors:
    """The vectors of features of the items of an audit.

    They are compared by their Euclidean distances as they are; a function that is to be compared by angles
    divides its vectors by their lengths.

    Args:
        source: what `load_features` takes: a function, "efficientnet-lite", the file of a network; or the
            vectors themselves, [n, d] for each set by its name: arrays or .npy, .npz, .safetensors files.
        given: the items of each set by its name, as `AuditSets.given` has them; one is "train".
        limits: smallest and largest value that a pixel can have.
        cache: where the vectors of networks of files are kept; those of functions never are.
        device: where a network that is loaded is to compute; one that is given computes where it is.
        report: told how many items of all sets are done.

    Raises:
        InputError: naming `features`, if they cannot be had, are no vectors of one size for each item, are
            not finite or all the same; if vectors are given for other sets or another number of items than
            there are, or for a set of which some items were passed over.
        MissingExtraError: if what `source` needs is not installed.
    """
    if isinstance(source, Mapping):
        found = FeatureVectors(_given_vectors(source, given), _GIVEN)
    else:
        function = load_features(source, limits=limits, device=device)
        if function is None:
            raise InputError(
                "features: expected a function, a name, a file or vectors for the view of features, got none"
            )
        note = function.note if isinstance(function, Extractor) else _FUNCTION
        found = FeatureVectors(_computed(function, given, cache, report), note)
    _check_vectors(found.vectors)
    return found


def embedded(
    items: Shaped[Tensor, " n *item"],
    function: Function,
    name: str,
    *,
    batch_size: int = BATCH,
    cache: Cache | None = None,
    report: Callable[[int], None] | None = None,
) -> Float[Tensor, "n d"]:
    """One vector for each item, in 32 bits on the CPU; beside them a part of the items is in memory.

    The network is in eval mode meanwhile. The size of a batch changes a result by rounding at most.

    Args:
        items: what the function is called with.
        function: gives the vectors of a batch.
        name: of the items, for the errors.
        batch_size: items in a batch.
        cache: where the vectors are kept, if the function is an `Extractor`.
        report: told how many are done.

    Raises:
        InputError: if the function fails, or gives no finite vectors of one size.
    """
    place = device_of_model(function)
    identity = function.identity if isinstance(function, Extractor) else None
    store = cache if identity is not None else None
    vectors = torch.empty(0, 0)
    done = 0
    for part in items.split(PART):

        def compute(part: Tensor = part) -> Tensors:
            return {"vectors": _narrow(features_of(part.to(place), name, function, batch_size), name)}

        key = {"step": "features", "function": identity or "", "items": _digest(part, store)}
        found = cached(store, key, compute)["vectors"]
        if done == 0:
            vectors = torch.empty(len(items), found.shape[1])
        if found.shape[1] != vectors.shape[1]:
            raise InputError(
                f"features: expected vectors of one size for {name}, got {vectors.shape[1]} and "
                f"{found.shape[1]} numbers"
            )
        vectors[done : done + len(part)] = found
        done += len(part)
        if report is not None:
            report(done)
    return vectors


def _digest(part: Shaped[Tensor, " n *item"], cache: Cache | None) -> str:
    """What names the items in the cache; nothing where there is none."""
    return "" if cache is None else digest_of(part)


def _narrow(rows: Float[Tensor, "n d"], name: str) -> Float[Tensor, "n d"]:
    """In 32 bits on the CPU.

    Raises:
        InputError: if numbers are too large.
    """
    if rows.numel() and float(rows.abs().max()) > _LARGEST:
        raise InputError(f"features: expected numbers up to {_LARGEST:g} for {name}, got larger ones")
    return rows.float().cpu()


def _computed(
    function: Function, given: Mapping[str, ImageSet], cache: Cache | None, report: Report
) -> dict[str, Tensor]:
    """What a function makes of each set."""
    total = sum(map(len, given.values()))
    vectors: dict[str, Tensor] = {}
    before = 0
    for name, one in given.items():

        def told(done: int, before: int = before) -> None:
            report(before + done, total)

        vectors[name] = embedded(one.images, function, name, cache=cache, report=told)
        before += len(one)
    return vectors


# --- vectors that are given ---


def _given_vectors(source: Mapping[str, Numbers], given: Mapping[str, ImageSet]) -> dict[str, Tensor]:
    """The vectors of each set, as they were given.

    Raises:
        InputError: if they are for other sets, or do not fit one.
    """
    _check_same_sets(source, given)
    return {name: _given_for(name, source[name], one) for name, one in given.items()}


def _check_same_sets(source: Mapping[str, Numbers], given: Mapping[str, ImageSet]) -> None:
    if set(source) != set(given):
        raise InputError(
            f"features: expected the vectors of {', '.join(given)}, got those of "
            f"{', '.join(map(str, source)) or 'none'}"
        )


def _given_for(name: str, source: Numbers, items: ImageSet) -> Float[Tensor, "n d"]:
    """The vectors of one set."""
    _check_whole_set(name, items)
    which = f"features[{name!r}]"
    rows = as_numbers(source, which)
    _check_one_each(which, rows, len(items))

    def in_32_bits(part: Shaped[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        return _narrow(features_of(part, which, None, len(part)), name)

    if not is_mapped(rows) or rows.dtype != torch.float32:
        return by_blocks(in_32_bits, rows)
    for part in blocks(rows):
        in_32_bits(part)  # only looked at: what is on the disk stays there
    return rows


def _check_whole_set(name: str, items: ImageSet) -> None:
    """Refuse a set of which items were passed over: it is not known whose vectors were given."""
    if items.skipped:
        first = items.skipped[0]
        raise InputError(
            f"features: expected {name} of which every item can be used, so that its vectors are known to be "
            f"those of the items, but {len(items.skipped):,} were passed over, the first is {first.name} "
            f"({first.reason}); remove them and their vectors"
        )


def _check_one_each(which: str, rows: Shaped[Tensor, "..."], count: int) -> None:
    if rows.ndim != 2 or len(rows) != count:
        raise InputError(
            f"{which}: expected a vector for each of the {count:,} items, [{count}, d], got shape "
            f"{tuple(rows.shape)}"
        )


def _check_vectors(vectors: Mapping[str, Tensor]) -> None:
    """Refuse vectors that cannot be compared.

    Raises:
        InputError: if their sizes differ, or all those of the training items are the same.
    """
    sizes = {name: rows.shape[1] for name, rows in vectors.items()}
    if len(set(sizes.values())) > 1:
        words = ", ".join(f"{size} for {name}" for name, size in sizes.items())
        raise InputError(f"features: expected vectors of one size, got {words}")
    _check_different(vectors["train"])


def _check_different(train: Float[Tensor, "n d"]) -> None:
    if all(bool((part == train[0]).all()) for part in blocks(train)):
        raise InputError("features: expected vectors that tell items apart, got the same for all of train")
