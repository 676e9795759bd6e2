"""Registration recovers what was done to a picture."""

import math

import numpy as np
import pytest
import torch

from memhorizon.auditing.alignment import SCALES, align, blurred, correlate, farthest_shift

WAVES = 6
HIGHEST = 2.0  # waves per picture


def seeded(seed):
    return torch.Generator().manual_seed(seed)


class Smooth:
    """A sum of waves, which has a value at every place: pictures of it need no interpolation."""

    def __init__(self, count, channels, seed=0):
        def uniform(*shape):
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        generator = seeded(seed)
        self.frequency = math.pi * HIGHEST * (2 * uniform(count, channels, WAVES, 2) - 1)
        self.phase = 2 * math.pi * uniform(count, channels, WAVES)

    def at(self, height, width, u=(1.0, 1.0), v=(0.0, 0.0)):
        """Pixels of x(u p + v), p from -1 to 1 to the right and down; values 0.1 to 0.7."""
        p_1 = u[0] * ((torch.arange(width) * 2 + 1) / width - 1).double() + v[0]
        p_2 = u[1] * ((torch.arange(height) * 2 + 1) / height - 1).double() + v[1]
        angle = (
            self.frequency[..., 0, None, None] * p_1
            + self.frequency[..., 1, None, None] * p_2[:, None]
            + self.phase[..., None, None]
        )
        return (0.4 + 0.3 * angle.cos().mean(2)).float()


def registered(y, x):
    """Fit of one candidate for each picture."""
    candidates = x[:, None]
    return align(y, candidates, correlate(y, candidates)[1])


PLACES = {
    "as it is": ((1.0, 1.0), (0.0, 0.0)),
    "moved by whole pixels": ((1.0, 1.0), (2 / 12, -2 / 14)),
    "moved by parts of a pixel": ((1.0, 1.0), (0.9 / 12, 0.5 / 14)),
    "flipped": ((-1.0, 1.0), (0.0, 0.0)),
    "larger": ((0.93, 0.93), (0.0, 0.0)),
    "smaller": ((1.08, 1.08), (0.0, 0.0)),
    "not in proportion": ((0.97, 1.04), (0.0, 0.0)),
    "all of it": ((-0.95, 0.93), (-0.1, 0.06)),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 24), (3, 27, 33)])
def test_the_place_is_found(name, channels, height, width):
    u, v = PLACES[name]
    picture = Smooth(12, channels)
    fit = registered(picture.at(height, width, u, v), picture.at(height, width))
    # linear interpolation of a wave of 2 per picture is wrong by up to (pi * 2 * 2 / side)^2 / 8 of its
    # height, 3 % at 24 pixels, and its derivative by as much; over a slope of pi * 2 per half a picture that
    # is a tenth of a pixel, 0.1 * 2/24 = 0.008; two steps of Gauss-Newton leave as much again
    found = fit.place[:, 0].median(0).values.tolist()
    assert found == pytest.approx([*u, *v], abs=0.016)
    worst = (fit.place[:, 0] - torch.tensor([*u, *v])).abs().amax(1)
    assert (worst < 0.05).float().mean() > 0.8  # waves all along one direction tell of one direction alone


@pytest.mark.parametrize(("gain", "offset"), [(0.7, 0.05), (1.3, 0.0), (1.0, -0.08)])
def test_brightness_and_contrast_are_found_and_made_good(gain, offset):
    picture = Smooth(10, 1)
    x = picture.at(28, 28)
    y = gain * x + offset
    fit = registered(y, x)
    # the ridge of 1e-4 against sums of squares of about 10 pulls by about 1e-5, rounding by less; blurred and
    # sharp versions of smooth pictures are nearly parallel, their sum is not
    np.testing.assert_allclose(fit.gain[:, 0], gain, atol=0.01)
    np.testing.assert_allclose(fit.fitted[:, 0], y.flatten(1), atol=0.004)


def test_blur_is_told_from_gain():
    picture = torch.rand(10, 1, 28, 28, generator=seeded(0))
    fit = registered(blurred(picture), picture)
    np.testing.assert_allclose(fit.blur[:, 0], 1, atol=0.05)
    np.testing.assert_allclose(registered(picture, picture).blur[:, 0], 0, atol=0.05)


def test_pixels_as_bright_as_can_be_are_left_out_of_the_fit():
    x = Smooth(10, 1).at(28, 28)
    y = (2.2 * x).clamp(max=1)
    share = (y == 1).float().mean((1, 2, 3))
    assert ((share > 0.02) & (share < 0.5)).any()
    fit = registered(y, x)
    some = share < 0.5
    np.testing.assert_allclose(fit.gain[some, 0], 2.2, atol=0.02)
    np.testing.assert_allclose(fit.fitted[some, 0], y.flatten(1)[some], atol=0.01)
    # with all of them in it the gain would be lower: least squares of the clipped picture on this one
    centred = (x - x.mean((1, 2, 3), keepdim=True)).flatten(1)
    slope = (centred * y.flatten(1)).sum(1) / centred.square().sum(1)
    clipped = some & (share > 0.1)
    assert clipped.any()
    assert (slope[clipped] < 2.15).all()


def test_outside_of_the_candidate_nothing_is_known():
    x = Smooth(1, 1).at(20, 20)
    place = torch.tensor([[[1.0, 1.0, 0.2, 0.0]]])  # two pixels to the left: x(p + 0.2)
    inside = align(x, x[:, None], place).inside.view(20, 20)
    fit = align(x.roll(-2, -1), x[:, None], place)
    inside = fit.inside.view(20, 20)
    # x is known from -1 to 1: to 17 of the 20 pixels fully, perhaps one more or less after refinement
    assert 16 <= inside.sum(1).min() <= inside.sum(1).max() <= 19
    assert (inside[:, :16] == 1).all()
    assert (inside[:, -1] == 0).all()


def grid_twin(y, x):
    """The largest correlation by loops: flips, scales, shifts, blur, each tried alone; one channel."""
    h, w = y.shape
    down, right = farthest_shift(h), farthest_shift(w)
    candidates = [pooled(x), pooled(blurred(x[None, None])[0, 0])]
    best = -1.0
    for flip in (1, -1):
        for scale in SCALES:
            warped = resampled(y, flip * scale, scale)
            padded = np.pad(warped, ((down, down), (right, right)), mode="edge")
            for top in range(2 * down + 1):
                for left in range(2 * right + 1):
                    moved = pooled(torch.from_numpy(padded[top : top + h, left : left + w]))
                    for candidate in candidates:
                        best = max(best, np.corrcoef(moved.ravel(), candidate.ravel())[0, 1])
    return best


def pooled(x):
    """Means of 2 x 2 pixels; what is left of odd sides is dropped."""
    x = x.numpy()
    h, w = x.shape[0] // 2, x.shape[1] // 2
    return x[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean((1, 3))


def resampled(y, along, down):
    """y(along p_1, down p_2) by bilinear interpolation, the border going on."""
    from scipy.ndimage import map_coordinates

    h, w = y.shape
    rows = ((down * ((np.arange(h) * 2 + 1) / h - 1)) + 1) * h / 2 - 0.5
    columns = ((along * ((np.arange(w) * 2 + 1) / w - 1)) + 1) * w / 2 - 0.5
    places = np.meshgrid(np.clip(rows, 0, h - 1), np.clip(columns, 0, w - 1), indexing="ij")
    return map_coordinates(y.numpy().astype(float), places, order=1)


@pytest.mark.parametrize(("height", "width"), [(9, 12), (8, 19)])
def test_the_best_correlation_is_that_of_trying_all(height, width):
    y = torch.rand(2, 1, height, width, generator=seeded(1))
    x = torch.rand(2, 3, 1, height, width, generator=seeded(2))
    x[0, 1] = y[0].flip(-1)
    found, _ = correlate(y, x)
    expected = [[grid_twin(y[q, 0], x[q, k, 0]) for k in range(3)] for q in range(2)]
    np.testing.assert_allclose(found, expected, atol=1e-4)  # sums of squares in 32 bits
    assert found[0, 1] > 0.999


def test_constant_pictures_give_numbers():
    level = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(-1, 3, 9, 8)
    some = torch.rand(3, 3, 9, 8, generator=seeded(3))
    for y, x in ((level, some), (some, level), (level, level)):
        correlation, place = correlate(y, x[:, None])
        fit = align(y, x[:, None], place)
        assert correlation.isfinite().all()
        assert correlation.abs().max() <= 1.001
        assert all(getattr(fit, name).isfinite().all() for name in ("fitted", "place", "gain", "blur"))


def test_strides_and_neighbours_change_nothing():
    y = torch.rand(4, 2, 10, 11, generator=seeded(4))
    x = torch.rand(4, 2, 2, 10, 11, generator=seeded(5))
    whole = correlate(y, x)
    turned = correlate(y.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), x.flip(0).flip(0))
    np.testing.assert_allclose(turned[0], whole[0], atol=1e-5)
    one = correlate(y[2:3], x[2:3])
    np.testing.assert_allclose(one[0], whole[0][2:3], atol=1e-5)
