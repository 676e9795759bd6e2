"""Runs continued with linear networks: the tiny twin runs, times are read as promised, the record follows."""

import math

import numpy as np
import pytest

from evidence_records import DOCS, RECORDS, drawn, inputs_are_those_beside, read
from evidence_records import shown as shown_interval
from memhorizon import recipes
from memhorizon.experiments.executors import Inline
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.tangent_forecast import numbers
from memhorizon.recipes.tangent_forecast.numbers import NAME, SWEEPS
from memhorizon.recipes.tangent_forecast.rows import KINDS, LinearRow, RunRow
from memhorizon.recipes.tangent_forecast.work import Continued, Shown
from memhorizon.records.files import load_record
from memhorizon.results import Status, Time


def test_the_tiny_twin_is_drawn(tmp_path):
    made = load_record(
        recipes.load(NAME).run(tmp_path, "tiny", root=tmp_path / "runs", records=RECORDS, executor=Inline())
    )
    drawn(made, tmp_path)
    linear = of_kind(rows_of(made, NAME, KINDS), LinearRow)
    assert [(row.sweep, row.way) for row in linear] == [
        ("n_mixture_sgd", "spectrum"),
        ("n_mixture_sgd", "trained"),
        ("n_digits", "spectrum"),
    ]
    for row in linear:
        assert row.begun == row.step[0] == numbers.TINY_BEGUN
        assert sum(row.weights or (1.0,)) == pytest.approx(1, rel=1e-4)


def shown(copies):
    """Snapshots at steps 10, 20, 40, ... with so many copies of 100 samples."""
    return Continued(tuple(Shown(10 * 2**k, 1.0, 1.0, count, 100) for k, count in enumerate(copies)))


def test_a_linear_network_copies_by_the_rule_of_the_run():
    record = read("n_mixture_sgd")
    run = record.runs[0]
    assert record.rules.memorized == 0.2
    found = numbers.predicted_time(record, run, shown([0, 0, 10, 60, 90]), 5)
    assert found.status is Status.OBSERVED
    assert 40 < found.value < 80
    cut = numbers.predicted_time(record, run, shown([0, 0, 10, 60, 90]), 3)
    assert (cut.status, cut.value) == (Status.NOT_REACHED, 40)


def test_factors_join_both_intervals():
    predicted = Time(400.0, 200.0, 800.0, Status.OBSERVED)
    measured = Time(100.0, 50.0, 100.0, Status.OBSERVED)
    found = numbers.over(predicted, measured)
    assert found.value == 4
    # log 2 from the forecast below; log 2 from the forecast and log 2 from the measured time above
    assert found.low == pytest.approx(2)
    assert found.high == pytest.approx(4 * 2 ** math.sqrt(2))


def test_a_loss_is_reached_between_snapshots_or_not_at_all():
    step = np.array([10.0, 100.0, 1000.0])
    assert numbers.first_below(step, np.array([1.0, 0.8, 0.6]), 0.7) == pytest.approx(10**2.5)
    assert numbers.first_below(step, np.array([1.0, 0.8, 0.6]), 1.5) == 10
    assert numbers.first_below(step, np.array([1.0, 0.8, 0.6]), 0.5) is None


def test_scores_count_within_a_factor_of_two():
    found = numbers.told([0.4, 0.5, 1.0, 2.0, 2.1])
    assert (found["runs"], found["within 2"], found["median"]) == (5, 3, 1.0)


def test_the_law_of_the_other_sizes_leaves_the_run_out():
    record = read("n_digits")
    run = record.runs[0]
    rates = [one.timescales.tau_mem.value / one.n_train for one in record.runs if one.n_train != run.n_train]
    wanted = run.n_train * np.prod(np.array(rates) ** (1 / len(rates)))
    assert numbers.by_law(record, run) == pytest.approx(float(wanted))


def test_the_committed_record_follows_from_its_inputs():
    made = read(NAME)
    inputs_are_those_beside(made)
    rows = rows_of(made, NAME, KINDS)
    runs = {(row.sweep, row.n_train, row.seed): row for row in of_kind(rows, RunRow)}
    records = {name: read(name) for name in SWEEPS}
    for (sweep, n_train, seed), row in runs.items():
        (run,) = [one for one in records[sweep].runs if (one.n_train, one.seed) == (n_train, seed)]
        assert row.tau_mem.value == pytest.approx(run.timescales.tau_mem.value, rel=1e-6)
        assert 0 < row.left < 1
    for row in of_kind(rows, LinearRow):
        run = runs[row.sweep, row.n_train, row.seed]
        assert row.begun == round(run.tau_gen)
        if row.factor is None:
            assert row.at_least == pytest.approx(row.trusted / run.tau_mem.value, rel=1e-5)
        else:
            assert row.factor.value == pytest.approx(row.predicted.value / run.tau_mem.value, rel=1e-5)


def test_the_networks_were_trained_again_as_recorded():
    """The loss where the derivative is taken lies on the curve of the run: seeds give the same training."""
    rows = rows_of(read(NAME), NAME, KINDS)
    for (sweep, n_train, seed), own in grouped(
        of_kind(rows, LinearRow), lambda row: (row.sweep, row.n_train, row.seed)
    ).items():
        (run,) = [one for one in read(sweep).runs if (one.n_train, one.seed) == (n_train, seed)]
        curve = run.curves["train@0.1"]
        near = np.interp(math.log(own[0].begun), np.log(curve.step), curve.value)
        # between two snapshots the loss of one training moves by some per cent
        assert own[0].train[0] == pytest.approx(float(near), rel=0.1)
        assert len({row.train[0] for row in own}) == 1


def factor(row):
    """A factor as the page writes it."""
    if row is None:
        return "not trained"
    if row.factor is None:
        return f"> {row.at_least:.2g}"
    return shown_interval(row.factor)


def test_the_page_has_the_factors_of_the_record():
    rows = rows_of(read(NAME), NAME, KINDS)
    page = (DOCS / "evidence" / "tangent.md").read_text()
    linear = grouped(of_kind(rows, LinearRow), lambda row: (row.sweep, row.n_train, row.seed))
    for run in of_kind(rows, RunRow):
        own = linear[run.sweep, run.n_train, run.seed]
        trained = next((row for row in own if row.way == "trained"), None)
        most = max((row for row in own if row.way == "spectrum"), key=lambda row: row.noises)
        kind = {"n_mixture_sgd": "mixture, SGD", "n_digits": "digits, Adam"}[run.sweep]
        (line,) = [
            line for line in page.splitlines() if line.startswith(f"| {kind}, {run.n_train}, {run.seed} (")
        ]
        cells = [cell.strip() for cell in line.split("|")[2:-1]]
        theory = "none" if run.theory is None else f"{run.theory:.2g}"
        times = f"{run.tau_gen:,.0f}, {run.tau_mem.value:,.0f}"
        wanted = [times, factor(trained), factor(most), f"{most.third:.2g}", f"{run.law:.2f}", theory]
        assert cells == wanted
