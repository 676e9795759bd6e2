"""What figures and pages read of a sweep is what was planted in its runs."""

from dataclasses import replace

import numpy as np
import pytest

from evidence_records import SWEEPS, read
from memhorizon.experiments.record import record
from memhorizon.records import reading
from memhorizon.results import Fraction, Status, Time
from sweeps import THRESHOLD, make_runs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return record(make_runs(tmp_path_factory.mktemp("runs"), n_train=(8, 16, 32), until=3000))


def test_curves_by_name(made):
    first, *others = made.runs
    lost = replace(first, curves={name: first.curves[name] for name in first.curves if name != "memorized"})
    assert reading.known_curves(made.runs, "kl") == []
    assert reading.known_curves(made.runs, "memorized") == [run.curves["memorized"] for run in made.runs]
    assert reading.known_curves([lost, *others], "memorized") == [run.curves["memorized"] for run in others]


def test_numbers_of_a_run(made):
    run = made.runs[0]
    assert reading.null_of(run) == 1 / 200
    assert reading.null_of(replace(run, null=None)) == 0.0
    assert reading.null_of(replace(run, null=Fraction.of(1, 4))) == 0.25
    assert reading.last_step(run) == max(curve.step[-1] for curve in run.curves.values())
    assert reading.unfinished(made) == list(made.runs)  # 4,000 were planned
    assert reading.unfinished(replace(made, runs=(replace(run, n_updates=20),))) == []


def test_entries_of_the_configuration(made):
    run = made.runs[0]
    assert reading.entry_of(run, "data.n_train") == 8
    assert reading.entry_of(run, "data.none.deeper") is None
    assert reading.part_of(run, "model")["kind"] == "UNetConfig"
    assert reading.part_of(run, "none") == {}
    assert reading.measured_by(run).threshold == THRESHOLD
    assert reading.measured_by(replace(run, config={})) is None
    assert reading.has_images(made)
    points = replace(run, config={"data": {"name": "mixture"}})
    assert not reading.has_images(replace(made, runs=(points,)))


def test_the_level_is_that_of_the_rules_and_not_of_a_sentence(made):
    quality = [run.curves[made.rules.curve] for run in made.runs]
    level = (1 + made.rules.tolerance) * max(curve.value.min() for curve in quality)
    assert reading.level_of(made) == pytest.approx(level, rel=1e-12)
    reworded = [replace(run.timescales.tau_gen, rule="in other words") for run in made.runs]
    assert reading.level_of(with_tau_gen(made, reworded)) == reading.level_of(made)


def test_where_no_time_was_read_there_is_no_level(made):
    unknown = [Time.unknown(Status.NOT_MEASURED, "no error is known") for _ in made.runs]
    assert reading.level_of(with_tau_gen(made, unknown)) is None


@pytest.mark.parametrize("name", SWEEPS)
def test_the_level_is_the_one_that_the_times_of_committed_records_state(name):
    """To the four digits of the sentence that was written with each time."""
    kept = read(name)
    for one in (kept, *kept.others):
        stated = f"{one.rules.curve} first at or below {reading.level_of(one):.4g}"
        rules = {run.timescales.tau_gen.rule for run in one.runs if run.timescales.tau_gen.known}
        assert rules == {stated}


def with_tau_gen(made, times):
    """The record with other generalization times."""
    pairs = zip(made.runs, times, strict=True)
    runs = [replace(run, timescales=replace(run.timescales, tau_gen=time)) for run, time in pairs]
    return replace(made, runs=tuple(runs))


def test_a_law_without_numbers_is_none(made):
    assert reading.law_of(made, "tau_mem").exponents["n_train"].value == pytest.approx(1, abs=0.2)
    lost = replace(made, runs=made.runs[:1])
    assert reading.law_of(replace(lost, laws={}), "tau_mem") is None
    law = record_law_of_two(made)
    assert np.isnan(law.log_prefactor)
    assert reading.law_of(replace(made, laws={"tau_mem": law}), "tau_mem") is None


def record_law_of_two(made):
    """Two times are too few for an exponent and a scatter."""
    from memhorizon.timescales.power_law import fit_scaling

    return fit_scaling([({"n_train": run.n_train}, run.timescales.tau_mem) for run in made.runs[:2]])
