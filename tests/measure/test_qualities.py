"""Qualities of the user's own: each kind of answer is read as a mean, everything else is refused."""

import numpy as np
import pytest
import torch

from memhorizon.denoiser import Denoiser
from memhorizon.distributions import Gaussian
from memhorizon.errors import InputError
from memhorizon.measure.config import MeasureConfig
from memhorizon.measure.means import Mean
from memhorizon.measure.quality import frechet_distance
from memhorizon.measure.reference import Reference
from memhorizon.measure.snapshot import observe
from memhorizon.results import Estimate
from memhorizon.samplers import SamplerConfig

SMALL = MeasureConfig(
    n_samples=80, sampler=SamplerConfig(n_solver_steps=15), repeats=2, diffusion_times=(0.1, 0.5)
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TRAIN, HOLDOUT = normal(30, 3), normal(50, 3, seed=1)
EXACT = Denoiser.exact(Gaussian(torch.zeros(3).double(), torch.eye(3).double()))


ANSWERS = {
    "a distance": (lambda x, y: frechet_distance(x, y), None),
    "a mean": (lambda x, y: Mean(1.5, 0.25, 3), Mean(1.5, 0.25, 3)),
    "an estimate": (lambda x, y: Estimate(2.0, 2 - 1.959964, 2 + 1.959964), Mean(2.0, 1.0, 1)),
    "a float": (lambda x, y: 0.5, Mean(0.5, 0.0, 1)),
    "a tensor": (lambda x, y: torch.tensor(0.5), Mean(0.5, 0.0, 1)),
    "NumPy": (lambda x, y: np.float32(0.5), Mean(0.5, 0.0, 1)),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_quality_of_the_users_is_measured_beside(name):
    function, wanted = ANSWERS[name]
    seen = observe(EXACT, TRAIN, HOLDOUT, SMALL, qualities={"mine": function})
    mine = seen.qualities["mine"]
    assert mine.value == (wanted or seen.frechet.corrected).value
    assert mine.standard_error == pytest.approx((wanted or seen.frechet.corrected).standard_error, rel=1e-6)


def unchecked_of(*args, **options):
    """`Reference.of` without the checker of annotations, which runs in tests only."""
    function = Reference.of.__func__
    return getattr(function, "__wrapped__", function)(Reference, *args, **options)


BAD = {
    "a name in use": (lambda: Reference.of(TRAIN, qualities={"frechet": min}), "qualities: .* got 'frechet'"),
    "no function": (lambda: unchecked_of(TRAIN, qualities={"fid": 3}), "qualities: .*'fid', got int"),
    "functions without names": (lambda: unchecked_of(TRAIN, qualities=[min]), "qualities: .* got list"),
    "a function without a name": (lambda: unchecked_of(TRAIN, qualities=min), "qualities: .* got builtin"),
    "an answer": (
        lambda: observe(EXACT, TRAIN, HOLDOUT, SMALL, qualities={"fid": lambda x, y: "low"}),
        "qualities: expected a Distance, .* from 'fid', got str",
    ),
    "an answer too large": (
        lambda: observe(EXACT, TRAIN, HOLDOUT, SMALL, qualities={"fid": lambda x, y: 10**400}),
        "qualities: expected a number of float64 from 'fid'",
    ),
    "a complex answer": (
        lambda: observe(EXACT, TRAIN, HOLDOUT, SMALL, qualities={"fid": lambda x, y: 1j}),
        "qualities: expected .* from 'fid', got complex",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
