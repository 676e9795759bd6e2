import dataclasses
import math

import mpmath
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.schedule import Schedule, ScheduleConfig


@pytest.mark.parametrize(
    ("index", "t", "tolerance"),
    [(0, 5.0e-5, 0.5e-6), (1, 1.1e-4, 0.5e-5), (40, 0.0102, 0.5e-4), (999, 5.06, 0.5e-2)],
)
def test_paper_values_of_t(index, t, tolerance):
    # Printed to two to four digits, so half a unit of the last one.
    assert abs(float(Schedule.linear().t(index)) - t) < tolerance


def test_paper_value_of_delta_t_and_the_index_of_its_loss_plots():
    schedule = Schedule.linear()
    assert abs(float(schedule.delta_t(40)) - 0.0202) < 0.5e-4
    assert schedule.index_of_t(0.01) == 40


@pytest.mark.parametrize(("kind", "name"), [("linear", "linear"), ("cosine", "squaredcos_cap_v2")])
@pytest.mark.parametrize("steps", [10, 1000])
def test_equals_diffusers(kind, name, steps):
    from diffusers import DDPMScheduler

    ours = ScheduleConfig(kind=kind, n_levels=steps).build().alpha_bar
    theirs = DDPMScheduler(num_train_timesteps=steps, beta_schedule=name).alphas_cumprod.double()
    # They work in float32 (u = 2^-24): beta is rounded (u beta), then 1 - beta (u alpha), then each product,
    # so the relative error of alpha_bar grows by u (beta/alpha + 2) per level; 1.01 covers the second order.
    alpha = ours / torch.cat([torch.ones(1, dtype=torch.float64), ours[:-1]])
    bound = 1.01 * 2**-24 * ((1 - alpha) / alpha + 2).cumsum(0)
    assert bool(((theirs / ours - 1).abs() <= bound).all())


def test_linear_equals_exact_product():
    with mpmath.workdps(40):
        product = mpmath.mpf(1)
        for i in range(1000):
            beta = mpmath.mpf("1e-4") + i * (mpmath.mpf("2e-2") - mpmath.mpf("1e-4")) / 999
            product *= 1 - beta
    # 1000 roundings of the factors and 1000 of the products, each 2^-53.
    assert abs(float(Schedule.linear().alpha_bar[-1] / float(product)) - 1) < 2000 * 2**-53


def test_cosine_telescopes_where_it_is_not_capped():
    u = (torch.arange(1, 999, dtype=torch.float64) / 1000 + 0.008) / 1.008
    closed = (u * math.pi / 2).cos().square() / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    # The cosine itself loses up to (pi/2)/(distance from pi/2) ulp near the end: 1/0.0015 at index 997.
    torch.testing.assert_close(Schedule.cosine().alpha_bar[:998], closed, rtol=1000 * 2 * 2**-52, atol=0.0)


@pytest.mark.parametrize("schedule", [Schedule.linear(), Schedule.cosine(), Schedule.linear(7, 0.1, 0.5)])
def test_coordinates_agree_and_return_to_their_index(schedule):
    index = torch.arange(len(schedule))
    t, sigma, delta_t = schedule.t(index), schedule.sigma(index), schedule.delta_t(index)
    torch.testing.assert_close(delta_t, -torch.expm1(-2 * t), rtol=1e-11, atol=0.0)  # eps/delta_t at index 0
    torch.testing.assert_close(sigma.square(), torch.expm1(2 * t), rtol=1e-11, atol=0.0)
    for i in index[:: max(1, len(schedule) // 50)].tolist():
        assert schedule.index_of_t(float(t[i])) == i
        assert schedule.index_of_sigma(float(sigma[i])) == i
        assert schedule.index_of_alpha_bar(float(schedule.alpha_bar[i])) == i


def test_nearest_index_takes_the_closer_neighbour_and_the_ends():
    schedule = Schedule.linear()
    low, high = float(schedule.t(500)), float(schedule.t(501))
    assert schedule.index_of_t(low + 0.49 * (high - low)) == 500
    assert schedule.index_of_t(low + 0.51 * (high - low)) == 501


COORDINATES = ("t", "sigma", "alpha_bar")


@pytest.mark.parametrize("schedule", [Schedule.linear(), Schedule.cosine(), Schedule.linear(7, 0.1, 0.5)])
@pytest.mark.parametrize("name", COORDINATES)
def test_half_a_step_beyond_the_ends_is_an_index_and_more_is_refused(schedule, name):
    index_of = getattr(schedule, f"index_of_{name}")
    if name == "alpha_bar":
        table = schedule.alpha_bar
    else:
        table = getattr(schedule, name)(torch.arange(len(schedule)))
    clean = 1.0 if name == "alpha_bar" else 0.0
    first, last, before = float(table[0]), float(table[-1]), float(table[-2])
    assert index_of(first + 0.49 * (clean - first)) == 0
    assert index_of(last + 0.49 * (last - before)) == len(schedule) - 1
    for value in (first + 0.51 * (clean - first), clean, last + 0.51 * (last - before)):
        with pytest.raises(InputError, match=rf"{name}: expected within half a step of .* levels of '"):
            index_of(value)


def test_the_times_of_the_default_measures_are_on_the_schedule():
    table = Schedule.linear().t(torch.arange(1000))
    for t in (0.01, 0.1, 0.3, 1.0):
        index = Schedule.linear().index_of_t(t)
        assert abs(float(table[index]) - t) <= float(table[index + 1] - table[index - 1]) / 2  # half a step


def test_index_may_have_any_shape():
    schedule = Schedule.linear()
    grid = torch.tensor([[0, 40], [999, 40]])
    assert schedule.t(grid).shape == (2, 2)
    assert float(schedule.t(grid)[1, 1]) == float(schedule.t(40))
    assert schedule.at(40).shape == ()


def test_is_frozen_and_configured_by_plain_values():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Schedule.linear().name = "other"  # type: ignore[misc]
    config = ScheduleConfig(**dataclasses.asdict(ScheduleConfig(n_levels=50, beta_end=0.1)))
    assert len(config.build()) == 50
    assert config.build().name == "linear"
    assert torch.equal(ScheduleConfig().build().alpha_bar, Schedule.linear().alpha_bar)


def of_kind(kind):
    config = ScheduleConfig()
    object.__setattr__(config, "kind", kind)  # past the checker of annotations, which runs in tests only
    config.__post_init__()


def linear_of_any(*arguments):
    """Past the checker of annotations, which runs in tests only."""
    function = Schedule.linear.__func__
    return getattr(function, "__wrapped__", function)(Schedule, *arguments)


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


BAD = {
    "alpha_bar empty": (lambda: Schedule(double()), "alpha_bar: expected a non-empty"),
    "alpha_bar float32": (lambda: Schedule(torch.tensor([0.9, 0.5])), "alpha_bar: .*float64"),
    "alpha_bar matrix": (lambda: Schedule(double(0.9, 0.5)[None]), r"alpha_bar: .*\(1, 2\)"),
    "alpha_bar rising": (lambda: Schedule(double(0.5, 0.9)), "alpha_bar: .*decreasing"),
    "alpha_bar flat": (lambda: Schedule(double(0.5, 0.5)), "alpha_bar: .*decreasing"),
    "alpha_bar of 1": (lambda: Schedule(double(1.0, 0.5)), "alpha_bar: .*between 0 and 1"),
    "alpha_bar of 0": (lambda: Schedule(double(0.5, 0.0)), "alpha_bar: .*between 0 and 1"),
    "alpha_bar NaN": (lambda: Schedule(double(0.9, math.nan)), "alpha_bar"),
    "no steps": (lambda: Schedule.linear(0), "n_levels: expected a whole number of at least 1, got 0"),
    "no cosine steps": (
        lambda: Schedule.cosine(-1),
        "n_levels: expected a whole number of at least 1, got -1",
    ),
    "beta order": (lambda: Schedule.linear(10, 0.5, 0.1), "beta_start, beta_end"),
    "beta of 0": (lambda: Schedule.linear(10, 0.0, 0.1), "beta_start, beta_end"),
    "beta of 1": (lambda: Schedule.linear(10, 0.1, 1.0), "beta_start, beta_end"),
    "beta NaN": (lambda: Schedule.linear(10, math.nan, 0.1), "beta_start, beta_end"),
    "beta in words": (lambda: linear_of_any(10, "a", 0.1), "beta_start, beta_end: .*'a'"),
    "beta None": (lambda: linear_of_any(10, None, 0.1), "beta_start, beta_end: .*None"),
    "config kind": (lambda: of_kind("sigmoid"), "kind: .*'sigmoid'"),
    "config steps": (lambda: ScheduleConfig(n_levels=0), "n_levels"),
    "config beta": (lambda: ScheduleConfig(beta_end=2.0), "beta_end"),
    "t negative": (lambda: Schedule.linear().index_of_t(-0.1), "t: .*-0.1"),
    "t NaN": (lambda: Schedule.linear().index_of_t(math.nan), "t: .*nan"),
    "t infinite": (lambda: Schedule.linear().index_of_t(math.inf), "t: .*inf"),
    "sigma negative": (lambda: Schedule.linear().index_of_sigma(-1.0), "sigma: .*-1"),
    "alpha_bar above 1": (lambda: Schedule.linear().index_of_alpha_bar(1.5), "alpha_bar: .*1.5"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()


def test_the_levels_of_edm_are_those_of_the_paper():
    n, sigma_min, sigma_max, rho = 18, 0.002, 80.0, 7.0
    found = Schedule.edm(n, sigma_min, sigma_max, rho).sigma(torch.arange(n))
    for i in range(n):  # Eq. (5) counts from the noisiest
        mixed = sigma_max ** (1 / rho) + i / (n - 1) * (sigma_min ** (1 / rho) - sigma_max ** (1 / rho))
        assert float(found[n - 1 - i]) == pytest.approx(mixed**rho, rel=1e-9)


def test_the_levels_of_a_flow_are_even_along_its_path():
    sigma = Schedule.flow(9).sigma(torch.arange(9))
    torch.testing.assert_close(sigma / (1 + sigma), torch.arange(1, 10).double() / 10)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Schedule.edm(1), "n_levels"),
        (lambda: Schedule.edm(sigma_min=0.0), "sigma_min"),
        (lambda: Schedule.edm(sigma_min=2.0, sigma_max=1.0), "sigma_max"),
        (lambda: Schedule.edm(rho=0.0), "rho"),
        (lambda: Schedule.flow(0), "n_levels"),
    ],
)
def test_levels_of_other_kinds_are_checked(make, word):
    with pytest.raises(InputError, match=word):
        make()


def test_a_schedule_is_short_when_shown():
    assert repr(Schedule.linear()) == "Schedule(linear, 1000 levels, sigma 0.01 to 157)"
