"""What one snapshot is measured for: its losses, its samples, their copies and their quality.

`observe` measures a network once. For many snapshots of one training make a `Reference` first: what does not
depend on the network (the null of the memorized fraction, the features of the held-out set) is computed once.
Noise and samples start from the same seeds every time, so that differences along training are due to the
network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.checks import LARGEST, check_flag, check_number, check_tuple, check_whole
from memhorizon.denoiser import Denoiser, as_denoiser
from memhorizon.diffusion import Model, Prediction
from memhorizon.distributions import Distribution, Gaussian, GaussianMixture
from memhorizon.errors import InputError
from memhorizon.files.mapped import blocks, rows_of
from memhorizon.measure.duplicates import duplicate_groups, first_members
from memhorizon.measure.features import PCAFeatures, pca_features
from memhorizon.measure.items import Items, as_items
from memhorizon.measure.losses import DenoisingLosses, denoising_losses, loss_gap
from memhorizon.measure.means import Mean
from memhorizon.measure.memorization import gap_ratios, memorized_fraction
from memhorizon.measure.neighbors import nearest
from memhorizon.measure.quality import (
    Distance,
    frechet_distance,
    kernel_distance,
)
from memhorizon.measure.truth import kl_divergence, score_error
from memhorizon.results import Estimate, Fraction
from memhorizon.samplers import SamplerConfig, sample
from memhorizon.schedule import Schedule

SHOWN = 24  # samples kept for the eye
LOSS_SEED = 1  # of the noise on training items; one more on held-out ones
SAMPLE_SEED = 1_000_000  # of the first sample, further ones count on
KL_NEIGHBOURS = 3
MAIN_DIRECTIONS = 64

Quality = Callable[[Tensor, Tensor], "Distance | Mean | Estimate | float"]


@dataclass(frozen=True)
class MeasureConfig:
    """What is measured at every snapshot, and when snapshots are taken.

    With the defaults all this takes about a tenth of the time of 10,000 updates (benchmarks/measuring.py). A
    memorized fraction of 0.1 then has a 95 % interval of +- 0.02. Other samplers need more steps to count
    copies right, although their samples are as good in fewer (benchmarks/solvers.py). More repeats make the
    standard error of the losses smaller, until it is that of the items.

    Attributes:
        snapshots: how many, spaced evenly in the logarithm of the step.
        first: step of the first snapshot.
        n_samples: samples generated at each snapshot for f_mem and quality.
        sampler: how they are generated.
        threshold: a sample is a copy where d1 / d2 is below.
        diffusion_times: diffusion times at which the losses are measured.
        repeats: fixed noises per item in the losses.
        n_train_loss: at most this many training items enter the losses.
        keep: whether snapshots stay on disk, to be measured again later.
    """

    snapshots: int = 20
    first: int = 50
    n_samples: int = 1000
    sampler: SamplerConfig = SamplerConfig("dpm++", 16)
    threshold: float = 1 / 3
    diffusion_times: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0)
    repeats: int = 2
    n_train_loss: int = 2048
    keep: bool = True

    def __post_init__(self) -> None:
        for name in ("snapshots", "first", "repeats", "n_train_loss"):
            check_whole(name, getattr(self, name), least=1, most=LARGEST - 1)
        check_whole("n_samples", self.n_samples, least=0, most=LARGEST - 1)
        if not isinstance(self.sampler, SamplerConfig):
            raise InputError(f"sampler: expected a SamplerConfig, got {self.sampler!r}")
        check_number("threshold", self.threshold, above=0, below=1)
        check_flag("keep", self.keep)
        self._check_times()

    def _check_times(self) -> None:
        """Refuse what are no diffusion times, and times whose curves would have the same name."""
        check_tuple("diffusion_times", self.diffusion_times)
        for t in self.diffusion_times:
            check_number("diffusion_times", t, above=0)
        self._check_time_names()

    def _check_time_names(self) -> None:
        names = [time_name(t) for t in self.diffusion_times]
        if not names or len(set(names)) < len(names):
            wanted = "at least one diffusion time, none of them twice (to six digits)"
            raise InputError(f"diffusion_times: expected {wanted}, got {self.diffusion_times}")

    def marks(self, n_updates: int) -> list[int]:
        """Give the steps of the snapshots of a training of so many updates."""
        return snapshot_steps(self.first, n_updates, self.snapshots)


def time_name(t: float) -> str:
    """A diffusion time as the names of curves have it."""
    return f"{float(t):g}"


def snapshot_steps(first: int, last: int, count: int) -> list[int]:
    """Steps from `first` to `last`, evenly spaced in the logarithm; fewer where they would coincide.

    Raises:
        InputError: if `last` is below 1.

    >>> snapshot_steps(10, 1000, 5), snapshot_steps(10, 3, 5)
    ([10, 32, 100, 316, 1000], [3])
    """
    check_whole("n_updates", last, least=1)
    return sorted({round(step) for step in np.geomspace(min(first, last), last, count)} | {last})


@dataclass(frozen=True, eq=False, repr=False)
class Reference:
    """What networks are measured against: a training set, a held-out set, and what follows from them alone.

    Make it by `Reference.of`. Duplicates are no independent items: the first of each group counts for all in
    the losses, in the null and among the held-out items of the qualities.

    Attributes:
        train: training items in the unit of the network, on its device. [n_train, *item]
        holdout: held-out items; none is allowed. [n_holdout, *item]
        train_group: number of the group of duplicates of each training item. [n_train]
        holdout_group: the same of the held-out items. [n_holdout]
        truth: the distribution that the items were drawn from, where it is known.
        qualities: further qualities by name, functions of (samples, held-out items).
    """

    train: Float[Tensor, " n_train *item"]
    holdout: Float[Tensor, " n_holdout *item"]
    train_group: Int[Tensor, " n_train"]
    holdout_group: Int[Tensor, " n_holdout"]
    truth: Distribution | None = None
    qualities: Mapping[str, Quality] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        train: Items,
        holdout: Items | None = None,
        *,
        train_group: Tensor | None = None,
        holdout_group: Tensor | None = None,
        truth: Distribution | None = None,
        qualities: Mapping[str, Quality] | None = None,
    ) -> "Reference":
        """Take the sets of a training.

        Args:
            train: training items as the network sees them, finite floats. [n_train, *item]
            holdout: held-out items in the same unit; None or empty where there are none. [n_holdout, *item]
            train_group: one integer for each training item, equal for duplicates (see `duplicate_groups`); by
                default by the rule of that function.
            holdout_group: the same of the held-out items.
            truth: the distribution that the items were drawn from, where it is known.
            qualities: further qualities by name: functions of the finite samples [m, *item] and the held-out
                items [n, *item] that give a `Distance` (as `frechet_distance` does, in any features), a
                `Mean`, an `Estimate`, or a float, which counts as exact. Lower is better.

        Raises:
            InputError: if a set cannot be used, shapes differ, or a name is that of a measure.
        """
        items = _floats(train, "train")
        held = items[:0] if holdout is None or _is_empty(holdout) else _floats(holdout, "holdout")
        _check_one_shape(items, held)
        named = _checked_qualities(qualities)
        return cls(
            items,
            held,
            _groups(train_group, items, "train_group"),
            _groups(holdout_group, held, "holdout_group"),
            truth,
            named,
        )

    @cached_property
    def first_of_groups(self) -> Int[Tensor, " g"]:
        """The number of the first training item of each group of duplicates."""
        return _first_of_groups(self.train_group)

    @cached_property
    def distinct_holdout(self) -> Float[Tensor, " n *item"]:
        """The first held-out item of each group of duplicates."""
        return self.holdout[_first_of_groups(self.holdout_group).to(self.holdout.device)]

    @cached_property
    def has_second(self) -> bool:
        """Whether there are two training items that are no duplicates of each other, as gap ratios need."""
        return len(self.train_group.unique()) > 1

    @cached_property
    def null_ratios(self) -> Float[Tensor, " n"]:
        """Gap ratios of the distinct held-out items."""
        return self.ratios(self.distinct_holdout)

    @cached_property
    def features(self) -> tuple[PCAFeatures | None, str]:
        """What qualities compare, with its name: pixels or, of large items, their main directions."""
        holdout = self.distinct_holdout
        if holdout[0].numel() <= MAIN_DIRECTIONS:
            return None, "pixels"
        count = min(MAIN_DIRECTIONS, len(holdout))
        return pca_features(holdout, count), f"pca{count}"

    def ratios(self, items: Float[Tensor, " m *item"]) -> Float[Tensor, " m"]:
        """Gap ratios to the training items, duplicates of which count as one, in the unit of the network.

        The ranges are not compared: samples of a poor network may lie anywhere.
        """
        return gap_ratios(items, self.train, group=self.train_group, same_units=True)

    def null(self, threshold: float) -> Fraction | None:
        """The share of held-out items that count as copies; None where a set is too small to say."""
        if not self.has_second or not len(self.holdout):
            return None
        return memorized_fraction(self.null_ratios, threshold=threshold)

    def __repr__(self) -> str:
        item = " x ".join(map(str, self.train.shape[1:]))
        return f"Reference({len(self.train)} training and {len(self.holdout)} held-out items of {item})"


@dataclass(frozen=True, eq=False)
class Shown:
    """A few samples, each with its nearest training item and its gap ratio (0 where there is no second item).

    Attributes:
        samples: [m, *item]
        neighbours: [m, *item]
        ratio: [m]
    """

    samples: Float[Tensor, " m *item"]
    neighbours: Float[Tensor, " m *item"]
    ratio: Float[Tensor, " m"]


@dataclass(frozen=True, eq=False)
class Observation:
    """What one network showed. What a set is too small for, or nothing is known of, is None or empty.

    Attributes:
        diffusion_times: at which the losses were measured. [k]
        train: training loss at each of them. [k]
        holdout: held-out loss. [k] or empty
        gap: held-out minus training loss. [k] or empty
        score_error: squared error of the score, (1/d) E|s - s_true|^2. [k] or empty
        invalid: share of the samples that are not finite; None without samples.
        memorized: share of the finite samples that are copies.
        null: share of the held-out items that count as copies by the same threshold.
        threshold: of the gap ratio.
        frechet: Frechet distance of the finite samples from the held-out items.
        kernel: kernel distance.
        features: what the two compare, "pixels" or "pca64".
        kl: KL divergence from the samples to the known distribution, in nats.
        qualities: the user's, by name.
        notes: what limits those of them that are a `Distance`, by name: its status and its note.
        shown: a few samples with their nearest training items.
    """

    diffusion_times: tuple[float, ...]
    train: tuple[Mean, ...]
    holdout: tuple[Mean, ...] = ()
    gap: tuple[Mean, ...] = ()
    score_error: tuple[Mean, ...] = ()
    invalid: Fraction | None = None
    memorized: Fraction | None = None
    null: Fraction | None = None
    threshold: float = 1 / 3
    frechet: Distance | None = None
    kernel: Distance | None = None
    features: str = ""
    kl: Mean | None = None
    qualities: Mapping[str, Mean] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    shown: Shown | None = None

    def __repr__(self) -> str:
        parts = [f"memorized {self.memorized}", f"null {self.null}"]
        parts += [f"{name} {mean}" for name, mean in self.qualities.items()]
        return f"Observation({', '.join(parts)}, losses at t = {self.diffusion_times})"


MEASURES = ("train", "holdout", "gap", "score_error", "invalid", "memorized", "frechet", "kernel", "kl")


def observe(
    model: Model | Denoiser,
    train: Items | Reference,
    holdout: Items | None = None,
    settings: MeasureConfig | None = None,
    *,
    schedule: Schedule | None = None,
    prediction: Prediction | None = None,
    qualities: Mapping[str, Quality] | None = None,
) -> Observation:
    """Measure a network against its training set and its held-out set.

    What a set is too small for is left out: `memorized` needs two training items that are no duplicates of
    each other, `holdout` and `gap` one held-out item, the qualities two.

    Args:
        model: a Denoiser, or a network model(x_t, index) with its schedule.
        train: training items as the network sees them, on its device [n_train, *item]; or a `Reference`,
            which is quicker for many snapshots and knows the held-out set and the qualities.
        holdout: held-out items in the same unit. [n_holdout, *item]
        settings: what is measured; None for the defaults of `MeasureConfig`.
        schedule: the noise schedule; None for that of a Denoiser.
        prediction: what the model puts out, by default the noise; a Denoiser knows.
        qualities: further qualities by name (see `Reference.of`).

    Raises:
        InputError: if the sets or the model cannot be used, a diffusion time lies outside of the schedule, or
            a held-out set or qualities come beside a Reference.
    """
    asked = MeasureConfig() if settings is None else settings
    if not isinstance(asked, MeasureConfig):
        raise InputError(f"settings: expected a MeasureConfig, got {type(asked).__name__}")
    denoiser = as_denoiser(model, schedule, prediction)
    return _observed(denoiser, reference_of(train, holdout, qualities), asked)


def reference_of(
    train: Items | Reference, holdout: Items | None, qualities: Mapping[str, Quality] | None
) -> Reference:
    """The reference that is given, or that of the sets.

    Raises:
        InputError: if sets cannot be used, or a held-out set or qualities come beside a Reference.
    """
    if not isinstance(train, Reference):
        return Reference.of(train, holdout, qualities=qualities)
    if holdout is not None or qualities is not None:
        raise InputError("holdout, qualities: expected None beside a Reference, which holds them")
    return train


def _observed(denoiser: Denoiser, reference: Reference, settings: MeasureConfig) -> Observation:
    indices = [denoiser.schedule.index_of_t(t) for t in settings.diffusion_times]
    train, held = _losses(denoiser, reference, settings, indices)
    seen = Observation(
        settings.diffusion_times,
        train=train.levels,
        holdout=held.levels if held else (),
        gap=loss_gap(train, held) if held else (),
        score_error=_score_errors(denoiser, reference, indices),
        threshold=settings.threshold,
    )
    if not settings.n_samples:
        return seen
    return _with_samples(seen, _generated(denoiser, reference, settings), reference)


def _generated(denoiser: Denoiser, reference: Reference, settings: MeasureConfig) -> Tensor:
    """As many samples as are asked for, from the same seeds at every snapshot."""
    return sample(
        denoiser,
        tuple(reference.train.shape[1:]),
        seeds=range(SAMPLE_SEED, SAMPLE_SEED + settings.n_samples),
        sampler=settings.sampler,
        device=reference.train.device,
    )


def _with_samples(seen: Observation, generated: Tensor, reference: Reference) -> Observation:
    """What was seen, with what the samples show."""
    finite = generated.flatten(1).isfinite().all(1)
    valid = generated[finite]
    frechet, kernel, features = _distances(valid, reference)
    answers = _qualities(valid, reference)
    return replace(
        seen,
        invalid=Fraction.of(int((~finite).sum()), len(finite)),
        memorized=_memorized(valid, reference, seen.threshold),
        null=reference.null(seen.threshold),
        frechet=frechet,
        kernel=kernel,
        features=features,
        kl=_divergence(valid, reference.truth),
        qualities={name: _as_mean(name, answer) for name, answer in answers.items()},
        notes={name: note for name, answer in answers.items() if (note := _note_of(answer))},
        shown=_shown(valid, reference) if len(valid) else None,
    )


def _losses(
    denoiser: Denoiser, reference: Reference, settings: MeasureConfig, indices: list[int]
) -> tuple[DenoisingLosses, DenoisingLosses | None]:
    """Losses of the training set and, where there is one, of the held-out set."""

    def measured(items: Tensor, seed: int) -> DenoisingLosses:
        return denoising_losses(denoiser, items, indices=indices, repeats=settings.repeats, seed=seed)

    first = reference.first_of_groups[: settings.n_train_loss]
    train = measured(rows_of(reference.train, first.to(reference.train.device)), LOSS_SEED)
    if not len(reference.holdout):
        return train, None
    return train, measured(reference.distinct_holdout, LOSS_SEED + 1)


def _score_errors(denoiser: Denoiser, reference: Reference, indices: list[int]) -> tuple[Mean, ...]:
    """Distance to the exact score, where the distribution of the data is known."""
    if reference.truth is None:
        return ()
    return score_error(denoiser, reference.truth, indices=indices, item_shape=reference.train.shape[1:])


def _memorized(valid: Tensor, reference: Reference, threshold: float) -> Fraction | None:
    if not len(valid) or not reference.has_second:
        return None
    return memorized_fraction(reference.ratios(valid), threshold=threshold)


def _distances(valid: Tensor, reference: Reference) -> tuple[Distance | None, Distance | None, str]:
    """Distances of samples from held-out items, and the name of what they compare."""
    holdout = reference.distinct_holdout
    if _are_too_few(valid, holdout):
        return None, None, ""
    features, name = reference.features
    frechet = frechet_distance(valid, holdout, features=features, same_units=True)
    kernel = kernel_distance(valid, holdout, features=features, same_units=True)
    return frechet, kernel, name


def _are_too_few(valid: Tensor, holdout: Tensor) -> bool:
    """Whether there are too few samples or held-out items for a quality."""
    return min(len(valid), len(holdout)) < 2


def _divergence(valid: Tensor, truth: Distribution | None) -> Mean | None:
    if not isinstance(truth, Gaussian | GaussianMixture) or len(valid) <= 2 * KL_NEIGHBOURS:
        return None
    return kl_divergence(valid.flatten(1), truth, k=KL_NEIGHBOURS)


def _qualities(valid: Tensor, reference: Reference) -> dict[str, object]:
    """What the user's qualities say of the samples, where there are two samples and two held-out items."""
    holdout = reference.distinct_holdout
    if _are_too_few(valid, holdout):
        return {}
    return {name: found(valid, holdout) for name, found in reference.qualities.items()}


def _note_of(answer: object) -> str:
    """What limits a distance; empty where nothing does, or where the answer is another."""
    return answer.limits if isinstance(answer, Distance) else ""


def _as_float(name: str, value: Real) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise InputError(f"qualities: expected a number of float64 from {name!r}, got more") from error


def _as_mean(name: str, value: object) -> Mean:
    """A user's answer as a mean with its standard error.

    Raises:
        InputError: if it is none of the answers that a quality may give.
    """
    if isinstance(value, Distance):
        return value.corrected
    if isinstance(value, Mean):
        return value
    if isinstance(value, Estimate):
        return Mean(value.value, _error_of(value), 1)
    return Mean(_number(name, value), 0.0, 1)


def _number(name: str, value: object) -> float:
    """A user's answer as a number, which counts as exact."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, Real) and not isinstance(value, bool):
        return _as_float(name, value)
    wanted = "a Distance, a Mean, an Estimate or a number"
    raise InputError(f"qualities: expected {wanted} from {name!r}, got {type(value).__name__}")


def _error_of(estimate: Estimate) -> float:
    """The standard error of which a normal interval of this coverage has this width."""
    from scipy import stats  # half a second that most do not need

    quantile = float(stats.norm.isf((1 - estimate.confidence) / 2))
    return (estimate.high - estimate.low) / (2 * quantile)


def _shown(valid: Tensor, reference: Reference) -> Shown:
    """The first samples, each with its nearest training item and, where there is a second one, its ratio."""
    first = valid[:SHOWN]
    _, index = nearest(first, reference.train, k=1, same_units=True)
    ratio = reference.ratios(first) if reference.has_second else torch.zeros(len(first))
    return Shown(first, rows_of(reference.train, index[:, 0]), ratio)


def _first_of_groups(group: Int[Tensor, " n"]) -> Int[Tensor, " g"]:
    """The number of the first item of every group of duplicates, ascending."""
    return first_members(group).sort().values


def _floats(items: Items, name: str) -> Tensor:
    found = as_items(items, name)
    if not found.is_floating_point() or not all(bool(part.isfinite().all()) for part in blocks(found)):
        wanted = "finite floats in the unit of the network"
        raise InputError(f"{name}: expected {wanted}, got {found.dtype} of shape {tuple(found.shape)}")
    return found


def _is_empty(items: Items) -> bool:
    return isinstance(items, Tensor | np.ndarray) and len(items) == 0


def _groups(group: Tensor | None, items: Tensor, name: str) -> Int[Tensor, " n"]:
    if group is None:
        return _groups_found(items)
    if group.shape != (len(items),):
        raise InputError(f"{name}: expected {len(items)} integers, got shape {tuple(group.shape)}")
    return group


def _groups_found(items: Tensor) -> Int[Tensor, " n"]:
    """Groups by the rule of `duplicate_groups`, of no items too."""
    return duplicate_groups(items) if len(items) else torch.zeros(0, dtype=torch.int64)


def _check_one_shape(train: Tensor, holdout: Tensor) -> None:
    if holdout.shape[1:] != train.shape[1:]:
        shapes = f"{tuple(train.shape[1:])} and {tuple(holdout.shape[1:])}"
        raise InputError(f"train, holdout: expected items of one shape, got {shapes}")


def _checked_qualities(qualities: object) -> dict[str, Quality]:
    if qualities is None:
        return {}
    if not isinstance(qualities, Mapping):
        wanted = "a mapping of names to functions"
        raise InputError(f"qualities: expected {wanted}, got {type(qualities).__name__}")
    for name, found in qualities.items():
        _check_quality_name(name)
        if not callable(found):
            raise InputError(f"qualities: expected a function for {name!r}, got {type(found).__name__}")
    return dict(qualities)


def _check_quality_name(name: object) -> None:
    if not isinstance(name, str) or not name.isidentifier() or name in MEASURES:
        wanted = f"a name of letters, digits and _ that is none of {', '.join(MEASURES)}"
        raise InputError(f"qualities: expected {wanted}, got {name!r}")
