"""One look at a network: each number is that of the measure itself, run-constant things are computed once."""

import math

import pytest
import torch

from memhorizon.denoiser import Denoiser
from memhorizon.diffusion import ideal_model
from memhorizon.distributions import Empirical, Gaussian
from memhorizon.errors import InputError
from memhorizon.measure import reference as references
from memhorizon.measure.config import MeasureConfig
from memhorizon.measure.losses import denoising_losses
from memhorizon.measure.quality import frechet_distance
from memhorizon.measure.reference import Reference
from memhorizon.measure.snapshot import observe
from memhorizon.results import Fraction
from memhorizon.samplers import SamplerConfig, sample
from memhorizon.schedule import Schedule

DIM = 3
SMALL = MeasureConfig(
    n_samples=80, sampler=SamplerConfig(n_solver_steps=15), repeats=2, diffusion_times=(0.1, 0.5)
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TRAIN, HOLDOUT = normal(30, DIM), normal(50, DIM, seed=1)
LAW = Gaussian(torch.zeros(DIM).double(), torch.eye(DIM).double())
EXACT = Denoiser.exact(LAW)


def copies(points, train, threshold):
    """How many points are nearer to one training item than `threshold` times the next, by all distances."""
    distance = torch.cdist(points.double(), train.double(), compute_mode="donot_use_mm_for_euclid_dist")
    two = distance.sort(1).values[:, :2]
    return int((two[:, 0] < threshold * two[:, 1]).sum())


def test_the_numbers_are_those_of_the_measures():
    seen = observe(EXACT, TRAIN, HOLDOUT, SMALL)
    made = sample(EXACT, (DIM,), seeds=range(1_000_000, 1_000_080), sampler=SMALL.sampler)
    assert seen.memorized == Fraction.of(copies(made, TRAIN, 1 / 3), 80)
    assert seen.null == Fraction.of(copies(HOLDOUT, TRAIN, 1 / 3), 50)
    assert seen.invalid == Fraction.of(0, 80)
    distance = frechet_distance(made, HOLDOUT)
    assert (seen.frechet, seen.features) == (distance, "pixels")
    indices = [EXACT.schedule.index_of_t(t) for t in (0.1, 0.5)]
    train = denoising_losses(EXACT, TRAIN, indices=indices, repeats=2, seed=1).items.mean(0)
    held = denoising_losses(EXACT, HOLDOUT, indices=indices, repeats=2, seed=2).items.mean(0)
    assert [mean.value for mean in seen.train] == train.tolist()
    assert [mean.value for mean in seen.holdout] == held.tolist()
    assert [mean.value for mean in seen.gap] == pytest.approx((held - train).tolist())
    assert torch.equal(seen.shown.samples, made[:24])
    assert (seen.kl, seen.score_error, dict(seen.qualities)) == (None, (), {})


@pytest.mark.parametrize("prediction", ["noise", "x0", "v"])
def test_a_model_with_its_schedule_is_seen_as_its_denoiser(prediction):
    schedule = Schedule.linear()
    model = ideal_model(Empirical(TRAIN), schedule, prediction)
    left = observe(model, TRAIN, HOLDOUT, SMALL, schedule=schedule, prediction=prediction)
    right = observe(getattr(Denoiser, prediction)(model, schedule), TRAIN, HOLDOUT, SMALL)
    assert (left.train, left.holdout, left.frechet) == (right.train, right.holdout, right.frechet)
    assert left.memorized == right.memorized == Fraction.of(80, 80)


def test_where_the_distribution_is_known_the_exact_denoiser_has_no_error():
    reference = Reference.of(TRAIN, HOLDOUT, truth=LAW)
    seen = observe(EXACT, reference, settings=SMALL)
    assert all(mean.value < 1e-9 for mean in seen.score_error)  # float32
    assert abs(seen.kl.value) < 4 * seen.kl.standard_error + 0.05  # 15 steps of the sampler


def test_what_does_not_depend_on_the_network_is_computed_once(monkeypatch):
    reference = Reference.of(TRAIN, HOLDOUT)
    asked = []
    measured = references.gap_ratios

    def counting(items, *args, **options):
        asked.append(len(items))
        return measured(items, *args, **options)

    monkeypatch.setattr(references, "gap_ratios", counting)
    first = observe(EXACT, reference, settings=SMALL)
    again = observe(EXACT, reference, settings=SMALL)
    assert first.null == again.null
    assert asked.count(len(HOLDOUT)) == 1
    assert first.train == observe(EXACT, TRAIN, HOLDOUT, SMALL).train


def test_named_groups_of_duplicates_count_once():
    """A near copy of each item, named as such: the numbers are those of the items alone."""
    twice = torch.cat([TRAIN, TRAIN + 1e-3])
    group = torch.arange(30).repeat(2)
    seen = observe(EXACT, Reference.of(twice, HOLDOUT, train_group=group), settings=SMALL)
    assert seen.train == observe(EXACT, TRAIN, HOLDOUT, SMALL).train
    unnamed = observe(EXACT, Reference.of(twice, HOLDOUT, train_group=torch.arange(60)), settings=SMALL)
    assert unnamed.null.count == 0  # the near copy is the second nearest item
    assert seen.null.count > 0


def test_samples_that_are_no_numbers_are_counted():
    broken = Denoiser.edm(lambda x, sigma: torch.full_like(x, math.nan))
    seen = observe(broken, TRAIN, HOLDOUT, SMALL)
    assert seen.invalid == Fraction.of(80, 80)
    assert (seen.memorized, seen.frechet, seen.shown) == (None, None, None)


def test_it_is_short_when_shown():
    assert len(repr(observe(EXACT, TRAIN, HOLDOUT, SMALL))) < 250


def unchecked_observe(*args, **options):
    return getattr(observe, "__wrapped__", observe)(*args, **options)


BAD = {
    "beside": (lambda: observe(EXACT, Reference.of(TRAIN), HOLDOUT), "holdout, qualities: expected None"),
    "settings": (lambda: unchecked_observe(EXACT, TRAIN, settings=3), "settings: .* got int"),
    "settings of a run": (
        lambda: unchecked_observe(EXACT, TRAIN, settings=SamplerConfig()),
        "settings: expected a MeasureConfig, got SamplerConfig",
    ),
    "no schedule": (lambda: observe(lambda x, index: x, TRAIN), "schedule: expected a Schedule"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
