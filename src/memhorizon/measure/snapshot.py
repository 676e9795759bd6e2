"""What one snapshot is measured for: its losses, its samples, their copies and their quality.

`observe` measures a network once. For many snapshots of one training make a `Reference` first: what does not
depend on the network (the null of the memorized fraction, the features of the held-out set) is computed once.
Noise and samples start from the same seeds every time, so that differences along training are due to the
network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.denoiser import Denoiser, as_denoiser
from memhorizon.diffusion import Model, Prediction
from memhorizon.distributions import Distribution, Gaussian, GaussianMixture
from memhorizon.errors import InputError
from memhorizon.files.mapped import rows_of
from memhorizon.measure.config import MeasureConfig
from memhorizon.measure.items import Items
from memhorizon.measure.losses import DenoisingLosses, denoising_losses, loss_gap
from memhorizon.measure.means import Mean
from memhorizon.measure.memorization import memorized_fraction
from memhorizon.measure.neighbors import nearest
from memhorizon.measure.qualities import Quality, as_mean, note_of
from memhorizon.measure.quality import Distance, frechet_distance, kernel_distance
from memhorizon.measure.reference import Reference, reference_of
from memhorizon.measure.truth import kl_divergence, score_error
from memhorizon.results import Fraction
from memhorizon.samplers import sample
from memhorizon.schedule import Schedule

SHOWN = 24  # samples kept for the eye
LOSS_SEED = 1  # of the noise on training items; one more on held-out ones
SAMPLE_SEED = 1_000_000  # of the first sample, further ones count on
KL_NEIGHBOURS = 3


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
        qualities={name: as_mean(name, answer) for name, answer in answers.items()},
        notes={name: note for name, answer in answers.items() if (note := note_of(answer))},
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


def _shown(valid: Tensor, reference: Reference) -> Shown:
    """The first samples, each with its nearest training item and, where there is a second one, its ratio."""
    first = valid[:SHOWN]
    _, index = nearest(first, reference.train, k=1, same_units=True)
    ratio = reference.ratios(first) if reference.has_second else torch.zeros(len(first))
    return Shown(first, rows_of(reference.train, index[:, 0]), ratio)
