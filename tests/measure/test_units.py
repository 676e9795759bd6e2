"""Units: what is recognised, what is refused, and that honest sets pass."""

import pytest
import torch

from memhorizon.datasets.split import DataConfig, load_split
from memhorizon.errors import InputError
from memhorizon.measure.memorization import gap_ratios, memorized_fraction
from memhorizon.measure.neighbors import nearest
from memhorizon.measure.quality import frechet_distance, kernel_distance
from memhorizon.measure.units import Values, check_units


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


PAIRS = {
    "gap_ratios": gap_ratios,
    "nearest": nearest,
    "frechet_distance": frechet_distance,
    "kernel_distance": kernel_distance,
}


PIXELS = torch.randint(0, 256, (80, 3, 6, 6), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
UNIT = PIXELS.float() / 255
FORMS = {
    "0 to 1": UNIT,
    "-1 to 1": UNIT * 2 - 1,
    "0 to 255": PIXELS.float(),
    "0 to 65535": PIXELS.float() * 257,
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("one", "other"), [(a, b) for a in FORMS for b in FORMS if a != b])
def test_copies_in_another_range_are_refused_and_both_ranges_named(name, one, other):
    with pytest.raises(InputError, match=rf"{one} and .*{other}, as of pixels from {one} and from {other};"):
        PAIRS[name](FORMS[one][:40], FORMS[other])
    PAIRS[name](FORMS[one][:40], FORMS[other], same_units=True)


@pytest.mark.parametrize("name", PAIRS)
def test_dark_bright_and_overshooting_sets_in_another_range_are_refused_too(name):
    cases = [
        (UNIT * 0.3, PIXELS.float()),
        (UNIT, 100 + 0.5 * PIXELS.float()),
        (UNIT * 1.15 - 0.07, PIXELS.int()),
    ]
    cases += [(UNIT, (UNIT * 2 - 1) * 1.05), (UNIT**3, UNIT**3 * 2 - 1)]
    for x, y in cases:
        for pair in ((x, y), (y, x)):
            with pytest.raises(InputError, match="expected values of one unit"):
                PAIRS[name](*pair)


def test_integer_pixels_beside_floats_from_0_to_1_are_brought_there():
    wide = (PIXELS.int() * 257).to(torch.uint16)
    for copies in (PIXELS, wide, PIXELS.numpy(), wide.numpy()):
        assert memorized_fraction(gap_ratios(copies, UNIT)).value == 1.0
        assert memorized_fraction(gap_ratios(UNIT, copies)).value == 1.0
        assert memorized_fraction(gap_ratios(copies, UNIT.double())).value == 1.0
        assert frechet_distance(copies, UNIT).value < 1e-9
    with pytest.raises(InputError, match="expected values of one unit"):
        gap_ratios(PIXELS, UNIT * 2 - 1)
    masks = PIXELS > 127
    assert memorized_fraction(gap_ratios(masks, masks.float())).value == 1.0
    assert memorized_fraction(gap_ratios(masks.to(torch.uint8), masks.float())).value == 1.0


CHANNELS = (
    torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1),
    torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1),
)
MOVED = {  # the same pictures, brought about 0
    "less 1/2": UNIT - 0.5,
    "less the mean": UNIT - UNIT.mean(),
    "standardised": (UNIT - UNIT.mean()) / UNIT.std(),
    "standardised by channel": (UNIT - CHANNELS[0]) / CHANNELS[1],
    "signed bytes": (PIXELS.int() - 128).to(torch.int8),
    "0 to 255 less 127.5": PIXELS.float() - 127.5,
    "dark, standardised": (UNIT**3 - (UNIT**3).mean()) / (UNIT**3).std(),
}


@pytest.mark.parametrize("kind", MOVED)
def test_centred_and_standardised_copies_are_refused(kind):
    plain = UNIT**3 if kind.startswith("dark") else UNIT
    for other in (plain, plain * 255, (plain * 255).round().to(torch.uint8)):
        for pair in ((MOVED[kind], other), (other, MOVED[kind]), (MOVED[kind][:20], other)):
            with pytest.raises(InputError, match="expected values of one unit, got .* to .* and .* to "):
                gap_ratios(*pair)
    gap_ratios(MOVED[kind], UNIT, same_units=True)


def test_the_scale_of_training_and_that_of_pixels_are_told_apart():
    split = load_split(DataConfig(name="digits", n_train=100, n_holdout=50))
    for items in (split.train, split.holdout, split.train[:3]):
        with pytest.raises(InputError, match="centred or standardised"):
            gap_ratios(items, split.to_pixels(split.train[:3] if len(items) == 3 else split.train))
    assert (
        memorized_fraction(gap_ratios(split.to_pixels(split.train), split.to_pixels(split.train))).value == 1
    )


def test_signed_bytes_are_compared_with_their_own_values():
    signed = (PIXELS.int() - 128).to(torch.int8)
    for copies in (signed, signed.float(), signed.long()):
        assert memorized_fraction(gap_ratios(copies, signed)).value == 1.0


@pytest.mark.parametrize(("lowest", "is_refused"), [(-1, True), (0, False)])
def test_bytes_with_a_sign_that_fall_below_0_are_none_from_0_to_255(lowest, is_refused):
    dark = (PIXELS // 2).to(torch.int8)
    dark[0, 0, 0, 0] = lowest
    if is_refused:
        with pytest.raises(InputError, match="of -1 to 127, as of 8-bit integers"):
            gap_ratios(PIXELS, dark)
    else:
        assert len(gap_ratios(PIXELS, dark)) == len(PIXELS)


NARROW_INTEGERS = {  # integers of fewer bits than their type has
    "8 of 16 bits": (UNIT * 255, torch.uint16),
    "12 of 16 bits": (UNIT * 4095, torch.uint16),
    "14 of 16 bits": (UNIT * 16383, torch.uint16),
    "0 to 16 in 8 bits": (UNIT * 16, torch.uint8),
    "0 to 15 in 8 bits": (UNIT * 15, torch.uint8),
    "0 to 15 as integers": (UNIT * 15, torch.int64),
    "0 to 15 as floats": (UNIT * 15, torch.float32),
    "0 to 3 as floats": (UNIT * 3, torch.float32),
}


@pytest.mark.parametrize("kind", NARROW_INTEGERS)
def test_integers_that_leave_their_range_unused_are_refused_beside_0_to_1(kind):
    values, dtype = NARROW_INTEGERS[kind]
    narrow = values.round().int().to(dtype)
    for pair in ((narrow, UNIT), (UNIT, narrow)):
        for measure in PAIRS.values():
            with pytest.raises(
                InputError, match="expected (integers that use their range|values of one unit)"
            ):
                measure(*pair)


def test_dark_integers_beside_their_own_floats_are_brought_to_them():
    for dtype, full in ((torch.uint8, 255), (torch.uint16, 65535)):
        dark = (UNIT * 0.09 * full).round().int()
        for floats in (dark.float() / full, UNIT * 0.09):
            assert memorized_fraction(gap_ratios(dark.to(dtype), floats)).value == 1.0


HONEST = {
    "blurry": (0.5 + 0.1 * (UNIT - 0.5), UNIT),
    "grey": (UNIT * 0 + 0.5, UNIT),
    "black": (UNIT * 0.01, UNIT),
    "slightly beyond": (UNIT * 1.2 - 0.1, UNIT),
    "far beyond": (UNIT + 0.6 * normal(80, 3, 6, 6), UNIT),
    "noise": (normal(80, 3, 6, 6), UNIT),
    "weak noise": (0.3 * normal(80, 3, 6, 6), UNIT),
    "weak noise about the mean": (0.5 + 0.3 * normal(80, 3, 6, 6), UNIT),
    "diverged": (1e3 * normal(80, 3, 6, 6), UNIT),
    "far diverged": (1e12 * normal(80, 3, 6, 6), UNIT),
    "centred": (UNIT - 0.5, UNIT - 0.5),
    "centred and poor": (0.7 * normal(80, 3, 6, 6), UNIT - 0.5),
    "paper's scale": (2 * normal(80, 3, 6, 6), 2 * (UNIT - 0.5)),
    "latents": (normal(80, 4, 4, 4), 5 * normal(80, 4, 4, 4, seed=1)),
    "shifted": (UNIT + 0.25, UNIT),
    "0 to 255, blurry": (100 + 5 * UNIT, PIXELS.float()),
    "0 to 255 as floats and integers": (PIXELS.float() + 0.5, PIXELS),
    "integers of two types": (PIXELS.long(), PIXELS),
    "counts with a long tail": (normal(80, 9).mul(2).exp() * 20, normal(80, 9, seed=1).mul(1.5).exp() * 10),
    "two small sets": (UNIT[:2, 0, :1, :3], UNIT[2:5, 0, :1, :3]),
    "bounded on both sides": (UNIT * 2 - 1, 0.9 * (UNIT * 2 - 1)),
    "one-hot and uniform": (torch.eye(4), uniform(9, 4)),
    "small noise": (normal(10, 4), uniform(60, 4)),
    "counts": (torch.arange(60).view(20, 3) % 6, torch.eye(3).long()),
    "one far outlier": (torch.cat([UNIT, UNIT[:1] * 5]), UNIT),
    "black and a little below": (UNIT * 0.3 - 0.05, UNIT),
    "a point at 0": (torch.zeros(1, 4), 2048 * torch.eye(4)),
}


@pytest.mark.parametrize("name", ["gap_ratios", "nearest", "frechet_distance", "kernel_distance"])
@pytest.mark.parametrize("case", HONEST)
def test_honest_sets_of_one_unit_are_compared(name, case):
    for x, y in (HONEST[case], HONEST[case][::-1]):
        if len(x) > 1 and len(y) > 1 and len(y.unique(dim=0)) > 1:
            PAIRS[name](x, y)


def test_early_samples_of_many_small_sets_are_rarely_taken_for_another_range():
    """Noise that stays within -1.1..1.1, is wide enough and low enough at once: of 300 poor sets none."""
    refused = 0
    for seed in range(300):
        spread = 0.1 + 0.9 * seed / 300
        try:
            nearest(0.5 + spread * normal(50, 8, seed=seed), uniform(100, 8, seed=seed))
        except InputError:
            refused += 1
    assert refused == 0


RANGES = {  # ends, and the unit that they show: a tenth of the range is allowed on both sides
    (0.0, 1.0): "0 to 1",
    (-0.1, 1.1): "0 to 1",
    (0.2, 0.3): "0 to 1",
    (-0.101, 1.0): "-1 to 1",
    (-1.2, 1.2): "-1 to 1",
    (-1.21, 1.0): "",
    (0.0, 1.21): "",
    (0.0, 15.9): "",
    (0.0, 16.0): "0 to 255",
    (-1.5, 16.0): "0 to 255",
    (-1.7, 16.0): "",
    (-25.5, 280.5): "0 to 255",
    (-25.0, 281.0): "0 to 65535",
    (0.0, 65535.0): "0 to 65535",
    (0.0, 72088.0): "0 to 65535",
    (0.0, 72089.0): "",
    (0.5, 0.5): "",
    (7.0, 7.0): "",
}


@pytest.mark.parametrize("ends", RANGES)
def test_the_unit_is_shown_by_the_ends(ends):
    x = torch.tensor([[ends[0]], [ends[1]]], dtype=torch.float64)
    assert Values.of(x, "x").unit == RANGES[ends]


def test_values_know_their_moments_whatever_their_number():
    """More items than are looked at together; 8-bit integers, whose sums would overflow."""
    x = torch.randint(-128, 128, (5000, 3), generator=torch.Generator().manual_seed(0)).to(torch.int8)
    values = Values.of(x, "x")
    assert values.mean == pytest.approx(float(x.double().mean()), rel=1e-12)
    assert values.spread == pytest.approx(float(x.double().std(correction=0)), rel=1e-12)
    assert (values.low, values.high, values.width, values.white) == (-128, 127, 255, None)
    assert Values.of(x.to(torch.int32), "x", torch.uint16).white == 65535


@pytest.mark.parametrize("factor", [15.0, 17.0])
def test_bright_and_dark_pixels_are_told_apart_where_their_spreads_differ_by_16(factor):
    a, b = (
        Values.of(torch.linspace(0, high, 600)[:, None], name)
        for high, name in ((100 * factor, "a"), (100, "b"))
    )
    if factor > 16:
        with pytest.raises(InputError, match="as of pixels from 0 to 65535 and from 0 to 255"):
            check_units(a, b)
    else:
        check_units(a, b)
