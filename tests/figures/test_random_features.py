"""Pictures of the theory: their numbers are those of the answers, and what is drawn lies where they say."""

import numpy as np
import pytest

from memhorizon.figures.random_features import losses, spectra, times
from memhorizon.theory import (
    FeatureModel,
    Spectrum,
    bulk_edges,
    loss_curves,
    spectral_density,
    timescales,
)

MODELS = [FeatureModel(psi_n, 16, 0.1) for psi_n in (4.0, 2.0, 64.0)]


def test_spectra_are_drawn_from_edge_to_edge():
    supports = [bulk_edges(model) for model in MODELS[:2]]
    densities = [
        [spectral_density(model, np.linspace(low, high, 9)[1:-1]) for low, high in support.intervals]
        for model, support in zip(MODELS, supports, strict=False)
    ]
    picture = spectra(MODELS[:2], supports, densities)
    rows = picture.frame()
    assert len(rows) == sum(len(found.density) for intervals in densities for found in intervals)
    assert rows[3]["density"] == densities[0][0].density[3]
    assert rows[3]["group"] == supports[0].labels[0]
    (axes,) = picture.plot().axes
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 9]
    ends = np.array([[line.get_xdata()[0], line.get_xdata()[-1]] for line in drawn])
    np.testing.assert_array_equal(ends, np.concatenate([support.intervals for support in supports]))
    atoms = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert atoms == [support.atom_location for support in supports]


def test_losses_show_the_score_error_and_the_gap_where_there_is_none():
    tau = np.array([1.0, 10.0, 100.0, np.inf])
    gaussian = loss_curves(MODELS[0], tau)
    _, right = losses(MODELS[:1], [gaussian]).plot().axes
    np.testing.assert_array_equal(right.lines[0].get_ydata(), gaussian.E_score[:3])
    data = Spectrum.atoms([0.5, 1.5], gaussian=False)
    other = FeatureModel(4, 16, 0.1, spectrum=data)
    picture = losses([other], [loss_curves(other, tau)])
    _, right = picture.plot().axes
    assert right.get_ylabel() == r"$L_\mathrm{gen}$"
    assert [row["tau"] for row in picture.frame()] == tau.tolist()


def test_times_are_sorted_and_what_is_not_reached_is_an_arrow():
    found = [timescales(model) for model in MODELS]
    picture = times(MODELS, found)
    (axes,) = picture.plot().axes
    gen, mem, never = axes.lines
    np.testing.assert_array_equal(gen.get_xdata(), [2, 4, 64])
    assert gen.get_ydata()[0] == found[1].tau_gen.value
    assert np.isnan(mem.get_ydata()[2])
    assert never.get_xdata() == [64]
    assert np.isinf(picture.frame()[2]["tau_mem"])


def test_one_model_alone_can_be_drawn():
    figure = times(MODELS[:1], [timescales(MODELS[0])]).plot()
    low, high = figure.axes[0].get_xlim()
    assert low < 4 < high


@pytest.mark.parametrize("count", [12, 13])
def test_a_legend_holds_twelve_models(count):
    models = [FeatureModel(float(psi_n), 16, 0.1) for psi_n in range(1, count + 1)]
    curves = [loss_curves(model, [1.0, 10.0]) for model in models]
    left, _ = losses(models, curves).plot().axes
    assert (left.get_legend() is not None) == (count == 12)
