import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memhorizon import figures
from memhorizon.errors import InputError
from memhorizon.figures import theory, theory_losses, theory_spectra, theory_training
from memhorizon.figures.registry import TABLES

RECORDS = {
    path.stem: path for path in sorted(Path(__file__).parents[2].joinpath("results/theory").glob("*.json"))
}


def read(name):
    return json.loads(RECORDS[name].read_text())


@pytest.mark.parametrize("name", sorted(set(RECORDS) & set(TABLES)))
def test_every_committed_record_is_drawn_within_its_edges_and_stays_small(name, tmp_path):
    found = figures.of(read(name))
    assert found.keys() == TABLES[name].keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for label, picture in found.items():
            figures.save(picture.plot(), tmp_path / f"{label}.png")
            assert (tmp_path / f"{label}.png").stat().st_size < 100_000
            pixels = np.asarray(Image.open(tmp_path / f"{label}.png").convert("L"))
            assert np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).min() > 250


def test_frames_are_the_rows_of_the_record():
    record = read("losses")
    rows = theory_losses.losses(record).frame()
    given = [row for row in record["rows"] if row["panel"] == "fig5"]
    assert len(rows) == sum(len(row["tau"]) for row in given)
    for name in ("tau", "L_gen", "E_score"):
        assert [row[name] for row in rows] == [value for row in given for value in row[name]]
    finite = [row for row in rows if row["source"] == "true"]
    first = next(row for row in given if row["source"] == "true")
    assert [row["standard_error_2"] for row in finite[: len(first["tau"])]] == first["standard_error"][2]


def test_a_map_becomes_one_row_per_cell():
    record = read("heatmap")
    rows = theory_losses.heatmap(record).frame()
    one = record["rows"][3]
    own = [row for row in rows if (row["t"], row["tau"]) == (one["t"], one["tau"])]
    assert len(own) == len(one["psi_n"]) * len(one["psi_p"])
    for row in own[::97]:
        i, j = one["psi_n"].index(row["psi_n"]), one["psi_p"].index(row["psi_p"])
        assert row["L_gen"] == one["L_gen"][i][j]


def test_the_word_for_infinity_becomes_the_number():
    assert np.inf in [row["tau"] for row in theory_losses.heatmap(read("heatmap")).frame()]


def test_the_drawn_limit_has_the_mass_that_it_is_named_with():
    """Density per ln(eigenvalue), the height of the curve, integrates to the mass of its interval."""
    drawn = {
        line.get_xdata()[0]: line for line in theory_spectra.spectra(read("spectra")).plot().axes[0].lines
    }
    rows = [r for r in read("spectra")["rows"] if r["panel"] == "fig4_isotropic" and r["source"] == "limit"]
    for row in rows:
        if row["label"] != "atom":
            line = drawn[row["eigenvalue"][0]]
            mass = np.trapezoid(line.get_ydata(), np.log(line.get_xdata()))
            assert mass == pytest.approx(row["mass"], rel=1e-3)  # trapezoids on 240 places: below (pi/240)^2


def test_shares_are_drawn_with_their_mean_and_interval():
    record = read("third_group")
    model = {"psi_n": 4.0, "psi_p": 8.0, "t": 0.01}
    wanted = model | {"panel": "finite", "features": "true", "equal_norms": False, "dim": 200}
    own = [row["shares"] for row in theory.where(record["rows"], **wanted)]
    axes = theory_spectra.third_group(record).plot().axes[0]
    drawn = [bars for bars in axes.containers if bars[0].get_xdata()[0] == 4]  # after three d
    assert len(own) == 5
    for container, shares in zip(drawn, np.transpose(own), strict=True):
        assert container[0].get_ydata()[0] == pytest.approx(np.mean(shares))
        (segment,) = container[2][0].get_segments()
        half = 2.7764451 * np.std(shares, ddof=1) / np.sqrt(5)  # t quantile, 4 degrees of freedom
        assert np.ptp(segment[:, 1]) == pytest.approx(2 * half, rel=1e-6)


@pytest.mark.parametrize("bad", [{}, [], {"name": "steps", "rows": []}, {"name": "losses"}])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match=r"losses|expected rows"):
        theory_losses.losses(bad)


def test_a_record_without_the_rows_of_a_figure_is_refused():
    with pytest.raises(InputError, match="fig11"):
        theory_losses.losses_over_t({"name": "losses", "rows": [{"panel": "fig5"}]})
    with pytest.raises(InputError, match="expected rows"):
        theory_training.steps({"name": "steps", "rows": []})


def test_rows_of_scalars_stay_one_row():
    assert theory.long({"a": 1, "b": "x"}) == [{"a": 1, "b": "x"}]
