"""Samples that are not finite: they leave the share of copies, and are seen."""

import math

import pytest
import torch

import memhorizon as mh
from memhorizon.distributions import Empirical, Gaussian
from memhorizon.monitor.certificate import upper_limit
from memhorizon.monitor.drawing import LARGEST, draw
from memhorizon.monitor.state import first_seed
from memhorizon.monitor.subject import Subject

SAMPLER = mh.SamplerConfig("ddim", 25)
NOISIEST = 1e-4  # alpha_bar: only the first step of the sampler is below it, no level of the losses
PLAN = mh.LookPlan(first=4, n_samples=64, n_probe=32, n_shown=4)
COPIER = Empirical(torch.randn(30, 6, generator=torch.Generator().manual_seed(0)).double())
HONEST = Gaussian(torch.zeros(6).double(), torch.eye(6).double())


def items(n, seed):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def spoiled(distribution, value=math.nan, *, above=1.0):
    """A network that gives `value` for those seeds whose noise begins above a number."""
    inner = mh.Denoiser.exact(distribution)

    def model(x, alpha_bar):
        out = inner.output(x, alpha_bar)
        is_bad = (x[:, 0] > above) & (alpha_bar.flatten() < NOISIEST)
        return torch.where(is_bad[:, None], torch.full_like(out, value), out)

    return mh.Denoiser(model, "v", inner.schedule, "exact")


def looked(denoiser, **changes):
    settings = {"holdout": items(40, 1), "sampler": SAMPLER, "plan": PLAN, "budget": None}
    return mh.Monitor(items(30, 0), denoiser=denoiser, **{**settings, **changes})


def finite_of(denoiser, count):
    """How many of the first samples of a monitor are finite, drawn outside of it."""
    seeds = range(first_seed(0), first_seed(0) + count)
    samples = mh.sample(denoiser, (6,), seeds=seeds, sampler=SAMPLER)
    return int(samples.isfinite().all(1).sum())


def test_samples_that_are_not_finite_are_not_honest_ones():
    """Every finite sample of this network is a copy: so is the share, whatever the others are."""
    denoiser = spoiled(COPIER)
    watch = looked(denoiser)
    finite = finite_of(denoiser, 64)
    assert 40 < finite < 64
    with pytest.warns(UserWarning, match=f"{64 - finite} of 64 samples are not finite"):
        watch.update(10)
    look = watch.history[-1]
    assert look.copies is not None
    assert (look.copies.count, look.copies.total) == (finite, finite)
    assert f"{64 - finite} of 64 samples are not finite" in look.note
    assert watch.record().failures == (f"step 10: {look.note}",)
    again = looked(denoiser, batch_size=7)
    with pytest.warns(UserWarning, match="not finite"):
        again.update(10)
    assert again.history[-1].copies == look.copies


def test_a_certificate_from_fewer_samples_has_the_larger_limit():
    denoiser = spoiled(HONEST)
    watch = looked(denoiser, target=0.05)
    with pytest.warns(UserWarning, match="not finite"):
        watch.certify(10)
    look = watch.history[-1]
    assert look.certified
    assert look.copies is not None
    whole = looked(mh.Denoiser.exact(HONEST), target=0.05)
    whole.certify(10)
    asked = whole.history[-1].copies
    assert asked is not None
    assert look.copies.total == finite_of(denoiser, asked.total) < asked.total
    count, total = look.copies.count, look.copies.total
    assert look.upper == upper_limit(count, total, confidence=0.95, candidates=10)
    assert look.upper > upper_limit(count, asked.total, confidence=0.95, candidates=10)


def test_without_a_finite_sample_there_is_no_share_of_copies():
    watch = looked(spoiled(HONEST, above=-math.inf), target=0.05)
    with pytest.warns(UserWarning, match=r"none of \d+ samples is finite"):
        watch.certify(10)
    look = watch.history[-1]
    assert look.copies is None
    assert math.isnan(look.upper)
    assert not look.certified
    assert watch.record().certificates == 0
    assert watch.best is None
    assert "none of" in watch.record().failures[-1]
    assert math.isfinite(look.holdout_loss)


def test_one_finite_sample_has_no_frechet_distance():
    denoiser = spoiled(HONEST, above=-1.9)
    seeds = range(first_seed(0), first_seed(0) + 104)
    assert finite_of(denoiser, len(seeds)) == 1
    watch = looked(denoiser, target=0.05)
    with pytest.warns(UserWarning, match="not finite"):
        watch.certify(10)
    look = watch.history[-1]
    assert look.copies is not None
    assert look.copies.total == 1
    assert math.isnan(look.frechet)


@pytest.mark.parametrize("value", [1e20, -1e30])
def test_finite_samples_stay_however_large(value):
    denoiser = spoiled(HONEST, value, above=-math.inf)
    drawn = draw(Subject.of(denoiser), (6,), range(20), sampler=SAMPLER, batch_size=8)
    plain = mh.sample(denoiser, (6,), seeds=range(20), sampler=SAMPLER)
    assert plain.isfinite().all()
    assert plain.abs().max() > LARGEST
    assert (drawn.seeds, drawn.dropped, drawn.note) == (list(range(20)), 0, "")
    assert torch.equal(drawn.samples, plain.float().clamp(-LARGEST, LARGEST))
