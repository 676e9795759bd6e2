"""Pictures of the theory: drawn within their edges, their numbers those of the record."""

import functools
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memhorizon import recipes
from memhorizon.errors import InputError
from memhorizon.figures.style import save
from memhorizon.recipes.theory_heatmap import figure as heatmap
from memhorizon.recipes.theory_losses import figure as losses
from memhorizon.recipes.theory_spectra import figure as spectra
from memhorizon.recipes.theory_third_group import figure as third_group
from memhorizon.recipes.theory_timescales import figure as timescales
from memhorizon.records.files import load_record

RESULTS = Path(__file__).parents[2] / "results" / "theory"
NAMES = [name.removeprefix("theory_") for name in recipes.names() if name.startswith("theory_")]


@functools.cache
def read(name):
    return load_record(RESULTS / f"{name}.json")


@pytest.mark.parametrize("name", NAMES)
def test_every_committed_record_is_drawn_within_its_edges_and_stays_small(name, tmp_path):
    found = recipes.figures_of(read(name))
    assert found.keys() == recipes.load(f"theory_{name}").figures.keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for label, picture in found.items():
            assert (RESULTS / f"{name}-{label}.png").exists()
            save(picture.plot(), tmp_path / f"{label}.png")
            assert (tmp_path / f"{label}.png").stat().st_size < 100_000
            pixels = np.asarray(Image.open(tmp_path / f"{label}.png").convert("L"))
            assert np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).min() > 250


def test_frames_are_the_rows_of_the_record():
    record = read("losses")
    rows = losses.curves(record).frame()
    given = [row for row in record.rows if row["panel"] == "fig5"]
    assert len(rows) == sum(len(row["tau"]) for row in given)
    for name in ("tau", "L_gen", "E_score"):
        assert [row[name] for row in rows] == [value for row in given for value in row[name]]
    finite = [row for row in rows if row["source"] == "true"]
    first = next(row for row in given if row["source"] == "true")
    assert [row["standard_error_2"] for row in finite[: len(first["tau"])]] == first["standard_error"][2]


def test_a_map_becomes_one_row_per_cell():
    record = read("heatmap")
    rows = heatmap.gap(record).frame()
    one = record.rows[3]
    same = [row for row in rows if (row["t"], row["tau"]) == (one["t"], one["tau"])]
    assert len(same) == len(one["psi_n"]) * len(one["psi_p"])
    for row in same[::97]:
        i, j = one["psi_n"].index(row["psi_n"]), one["psi_p"].index(row["psi_p"])
        assert row["L_gen"] == one["L_gen"][i][j]


def test_infinite_training_time_is_a_number_in_the_frame():
    assert np.inf in [row["tau"] for row in heatmap.gap(read("heatmap")).frame()]


def test_a_time_that_there_is_not_is_no_text_in_the_frame():
    rows = timescales.times(read("timescales")).frame()
    assert any(np.isnan(row["half_time"]) for row in rows)
    assert all(isinstance(value, float) for row in rows for value in row.values())


def test_the_drawn_limit_has_the_mass_that_it_is_named_with():
    """Density per ln(eigenvalue), the height of the curve, integrates to the mass of its interval."""
    record = read("spectra")
    drawn = {line.get_xdata()[0]: line for line in spectra.density(record).plot().axes[0].lines}
    rows = [r for r in record.rows if (r["panel"], r["source"]) == ("fig4_isotropic", "limit")]
    for row in rows:
        if row["label"] != "atom":
            line = drawn[row["eigenvalue"][0]]
            mass = np.trapezoid(line.get_ydata(), np.log(line.get_xdata()))
            assert mass == pytest.approx(row["mass"], rel=1e-3)  # trapezoids on 240 places: below (pi/240)^2


def test_shares_are_drawn_with_their_mean_and_interval():
    record = read("third_group")
    wanted = {"psi_n": 4.0, "psi_p": 8.0, "t": 0.01, "panel": "finite"}
    wanted |= {"features": "true", "equal_norms": False, "dim": 200}
    same = [row["shares"] for row in record.rows if wanted.items() <= row.items()]
    axes = third_group.shares(record).plot().axes[0]
    drawn = [bars for bars in axes.containers if bars[0].get_xdata()[0] == 4]  # after three d
    assert len(same) == 5
    for container, shares in zip(drawn, np.transpose(same), strict=True):
        assert container[0].get_ydata()[0] == pytest.approx(np.mean(shares))
        (segment,) = container[2][0].get_segments()
        half = 2.7764451 * np.std(shares, ddof=1) / np.sqrt(5)  # t quantile, 4 degrees of freedom
        assert np.ptp(segment[:, 1]) == pytest.approx(2 * half, rel=1e-6)


def test_the_dimensions_below_each_kind_of_network_are_those_of_its_rows():
    """The first kind of the picture takes the first places: its dimensions stand below it, in order."""
    axes = third_group.shares(read("third_group")).plot().axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "200", "400"] * 3


def test_every_event_is_drawn_with_its_timescale():
    record = read("timescales")
    upper, lower = timescales.times(record).plot().axes
    wanted = [row for row in record.rows if (row["psi_p"], row["psi_n"]) == (1024.0, 8.0)]
    for axes, event, timescale in ((upper, "level_1_time", "tau_first"), (lower, "half_time", "tau_third")):
        drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
        for name in (event, timescale):
            column = np.array([float(row[name]) for row in wanted])
            assert any(len(y) == len(column) and np.array_equal(y, column, equal_nan=True) for y in drawn)


def test_a_record_without_the_rows_of_a_figure_is_refused():
    record = read("losses")
    only = replace(record, rows=tuple(row for row in record.rows if row["panel"] == "fig5"))
    with pytest.raises(InputError, match="fig11"):
        losses.over_t(only)
