"""A sweep answers from its run directories, as the record and the page of the same runs do."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

import memhorizon as mh
from memhorizon.experiments.record import record
from memhorizon.records.codec import encode
from sweeps import make_runs

TINY = mh.Config(
    data=mh.DataConfig(name="gaussian", dim=2, n_holdout=8),
    model=mh.MLPConfig(width=8, blocks=1),
    train=mh.TrainConfig(n_updates=4, batch_size=4),
    measure=mh.MeasureConfig(snapshots=2, first=2, n_samples=0, repeats=1, diffusion_times=(0.1,)),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Runs whose f_mem passes 1/2 at 30 n, by construction."""
    folder = tmp_path_factory.mktemp("sweep")
    make_runs(folder, n_train=(8, 16, 32, 64))
    return folder


def test_a_sweep_trains_and_is_opened_again(tmp_path):
    made = mh.sweep(mh.grid(TINY, n_train=(4, 16), seed=(0, 1)), root=tmp_path / "runs", executor=mh.Inline())
    assert len(made) == 4
    assert all(run.done for run in made.runs)
    assert repr(made) == "Sweep(runs: 4 runs, 4 done)"
    opened = mh.Sweep.of(tmp_path / "runs")
    assert {run.path for run in opened.runs} == {run.path for run in made.runs}
    assert opened.name == "runs"
    assert encode(mh.Sweep.of(made.runs).timescales()) == encode(made.timescales())
    assert mh.Sweep.of([tmp_path / "runs", made.runs[0]]).runs == opened.runs  # each once


def test_the_runs_that_are_done_survive_one_that_fails(tmp_path):
    configs = [TINY, replace(TINY, model=mh.MLPConfig(width=2**40))]
    with pytest.raises(mh.InputError, match="1 of 2 runs failed"):
        mh.sweep(configs, root=tmp_path, executor=mh.Inline())
    assert len(mh.Sweep.of(tmp_path)) == 1


def test_answers_are_those_of_the_record(root):
    sweep = mh.Sweep.of(root)
    made = record(sweep.runs)
    assert sweep.timescales() == {run.key: run.timescales for run in made.runs}
    assert sweep.laws()["tau_mem"].exponents == made.laws["tau_mem"].exponents
    assert [row["tau_mem"] for row in sweep.frame()] == [run.timescales.tau_mem.value for run in made.runs]
    assert {"key", "n_train", "seed", "lr", "width", "tau_gen_status", "tau_mem_high"} <= set(
        sweep.frame()[0]
    )


def test_the_law_is_that_of_the_curves(root):
    """Times are n times a constant but for factors of 1.06^-2 to 1.06^2, which move the slope of a line
    through four doublings, x = (-3, -1, 1, 3) log(2)/2, by at most 2 log(1.06) sum|x| / sum x^2."""
    exponent = mh.Sweep.of(root).laws()["tau_mem"].exponents["n_train"]
    assert exponent.low < 1 < exponent.high
    bound = 2 * math.log(1.06) * 8 / (20 * math.log(2) / 2)
    assert exponent.value == pytest.approx(1, abs=bound)


def test_other_rules_give_other_times(root):
    sweep = mh.Sweep.of(root)
    early = sweep.timescales(mh.Rules(memorized=0.1))
    late = sweep.timescales(mh.Rules(memorized=0.5))
    assert all(early[key].tau_mem.value < late[key].tau_mem.value for key in early)
    assert sweep.record(mh.Rules(memorized=0.5)).rules.memorized == 0.5


def test_a_law_in_what_one_names(root, tmp_path):
    make_runs(tmp_path, n_train=(8, 16, 32), widths=(8, 16, 32))
    bound = 2 * math.log(1.06) / math.log(2)  # as above, with x = (-1, 0, 1) log(2)
    both = mh.Sweep.of(tmp_path).laws(("n_train", "width"))["tau_mem"].exponents
    assert both["n_train"].value == pytest.approx(1, abs=bound)
    assert both["width"].value == pytest.approx(-1, abs=bound)
    one = mh.Sweep.of(root).runs[0]
    for by in ("n_train", (), ("colour",), ("optimizer",)):
        with pytest.raises(mh.InputError, match="^by: expected"):
            mh.Sweep.of(one).laws(by)


def test_what_is_no_run_is_refused(tmp_path):
    for places, name in ((tmp_path, "path"), ([], "places"), ([tmp_path / "nothing"], "path")):
        with pytest.raises(mh.InputError, match=f"^{name}: expected"):
            mh.Sweep.of(places)


def test_a_page_is_written(root, tmp_path):
    page = mh.Sweep.of(root).report(tmp_path / "new" / "page.html")
    assert page.read_text().startswith("<!doctype html>")
    one = mh.Sweep.of(mh.Sweep.of(root).runs[0])  # fewer pictures
    assert one.report(str(tmp_path)) == Path(tmp_path) / "report.html"


def test_an_empty_folder_may_be_that_of_a_monitor(tmp_path):
    with pytest.raises(mh.InputError, match="which is empty: a monitor writes there from its first look on"):
        mh.Sweep.of(tmp_path)
