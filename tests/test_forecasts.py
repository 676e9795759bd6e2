"""Forecasts from what users have: run directories, records, their files, tables, and several of these."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch

import memhorizon as mh
from memhorizon.distributions import Empirical
from memhorizon.errors import InputError
from memhorizon.experiments.record import record
from memhorizon.forecasting.target import target_of
from memhorizon.forecasts import read_pilots
from memhorizon.records.codec import encode
from memhorizon.records.files import load_record, record_of, to_plain, write_record
from memhorizon.records.forecast import ForecastRecord
from memhorizon.report import report
from memhorizon.results import Status, Time
from sweeps import make_runs

ROOT = Path(__file__).parents[1]
RULES = mh.Rules(t=0.3)


@pytest.fixture
def unchecked(monkeypatch):
    """As users have it: without the checker of annotations, which runs in tests only."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="module")
def made(runs):
    return record(runs, RULES, name="made")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Copying begins at a step proportional to n."""
    root = tmp_path_factory.mktemp("runs")
    return make_runs(root, n_train=(8, 16, 32), seeds=(0, 1), steps=4000, name="mixture")


def test_all_sources_tell_the_same(runs, made, tmp_path):
    path = write_record(made, tmp_path / "made.json")
    table = [
        {"n": run.n_train, "time": run.timescales.tau_mem, "lr": 1e-3, "width": 16, "batch_size": 512}
        for run in made.runs
    ]
    sources = [mh.Sweep.of(runs), runs[0].path.parent, made, path, list(made.runs), table]
    told = [read_pilots(source, RULES) for source in sources]
    for every in told:
        assert [pilot.point for pilot in every] == [pilot.point for pilot in told[0]]
        assert [pilot.tau_mem for pilot in every] == [pilot.tau_mem for pilot in told[0]]
    assert len({pilot.key for pilot in told[0]}) == 6


def test_a_run_that_is_given_twice_counts_once(runs, made, tmp_path):
    path = write_record(made, tmp_path / "made.json")
    root = runs[0].path.parent
    once = read_pilots(root, RULES)
    for sources in ([root, root], [root, path], [path, path], [made, *made.runs]):
        assert [pilot.tau_mem for pilot in read_pilots(sources, RULES)] == [pilot.tau_mem for pilot in once]
    rows = [{"n": 50, "time": 900.0}, {"n": 50, "time": 900.0}]
    assert len(read_pilots(rows)) == 2  # of two runs, as far as a table tells


def test_of_a_run_and_an_older_record_of_it_the_longer_one_counts(made):
    run = next(run for run in made.runs if run.timescales.tau_mem.status is Status.OBSERVED)
    early = replace(run.timescales, tau_mem=Time(5.0, 5.0, math.inf, Status.NOT_REACHED))
    older = replace(run, timescales=early)
    for sources in ([older, run], [run, older]):
        (pilot,) = read_pilots(sources)
        assert pilot.tau_mem == run.timescales.tau_mem


def test_a_folder_of_records_is_told_to_name_them(made, tmp_path):
    path = write_record(made, tmp_path / "made.json")
    with pytest.raises(InputError, match="records are given by their names") as raised:
        read_pilots(tmp_path)
    assert str(path) in str(raised.value)


def test_the_law_of_the_runs_is_extended(made):
    """The curves pass 0.1 at 30 n 16 / width / 9^(1/3), times 1.1 for the second seed, within 12 %."""
    steps = mh.forecast(made, n_train=128).tau_mem.step
    assert steps.low < 30 * 128 * 1.05 / 9 ** (1 / 3) < steps.high


def test_the_batch_of_a_larger_set_is_that_of_the_configuration(made):
    """512 items in an update: smaller sets do not fill it."""
    pilots = read_pilots(made)
    assert {pilot.batch_limit for pilot in pilots} == {512.0}
    target = target_of(pilots, 2048, batch_size=None, width=None, lr=None)
    assert (target.at(128).batch_size, target.point.batch_size) == (128, 512)


def own_loops(folder, sizes, batch_of):
    """Runs of loops of one's own, which say their batch as a factor."""
    quick = mh.MeasureConfig(n_samples=0, repeats=1, diffusion_times=(0.1,))
    for n_train in sizes:
        items = torch.randn(n_train, 2, generator=torch.Generator().manual_seed(0))
        factors = {"batch_size": batch_of(n_train)}
        writer = mh.RunWriter(folder / str(n_train), items, settings=quick, factors=factors)
        writer.observe(5, mh.Denoiser.exact(Empirical(items)))


@pytest.mark.parametrize(
    ("batch_of", "batch"), [(lambda _: 16, 16), (lambda n: n, 64)], ids=["one number", "the whole set"]
)
def test_the_batch_of_loops_of_ones_own_is_what_they_say(batch_of, batch, tmp_path):
    """Where small sets do not fill it, their updates have fewer items, and larger runs have it."""
    own_loops(tmp_path, (4, 8, 16), batch_of)
    pilots = read_pilots(tmp_path)
    assert sorted(pilot.point.batch_size for pilot in pilots) == [4, 8, 16]
    found = mh.forecast(tmp_path, n_train=64)
    assert found.batch_size == batch
    assert ("the whole set in each update" in found.summary()) == (batch == 64)


def test_the_batch_that_was_assumed_is_said():
    rows = [{"n": n, "time": 20 * n} for n in (50, 100, 200)]
    told = ForecastRecord("f", "", mh.forecast(rows, n_train=800))
    for text in (told.forecast.summary(), report(told)):
        assert "batch: not known" in text
        assert "give the batch_size of each pilot" in text
    known = mh.forecast([{**row, "batch_size": 32} for row in rows], n_train=800)
    assert "batch: " not in known.summary()


def test_intervals_beyond_the_largest_number_are_infinite():
    rows = [{"n": n, "time": 20 * n, "seed": seed} for n in (50, 100, 200, 400) for seed in (0, 1)]
    found = mh.forecast(rows, n_train=10**15, confidence=0.999999)
    assert found.next_pilot.before == math.inf
    assert "falls from inf to about " in found.summary()


def test_rules_are_checked_whatever_the_pilots_are(made, unchecked):
    for pilots in ([{"n": 50, "time": 900}], made):
        with pytest.raises(mh.InputError, match="^rules: expected a Rules, got int"):
            mh.forecast(pilots, n_train=100, rules=3)


def test_the_next_pilot_has_its_whole_setting_where_runs_differ_in_it():
    rows = [{"n": n, "time": 20 * n, "batch_size": 8, "width": n // 2} for n in (50, 100, 200)]
    found = mh.forecast(rows, n_train=800, width=100)
    assert (found.next_pilot.batch_size, found.next_pilot.width) == (8, 100)
    assert f"run next: n = {found.next_pilot.n_train}, batch 8, width 100 for " in found.summary()
    alike = mh.forecast([{**row, "width": 100} for row in rows], n_train=800)
    assert f"run next: n = {alike.next_pilot.n_train} for " in alike.summary()


def test_pilots_that_tell_nothing_are_counted_and_named():
    rows = [{"n": n, "time": 50, "censored": "left"} for n in (50, 100)]
    rows += [{"n": n, "time": 90, "censored": "right"} for n in (200, 300, 400)]
    rows += [{"n": 500, "time": Time(28.54, 0.0, math.inf, Status.OBSERVED)}]
    found = mh.forecast(rows, n_train=1000)
    assert found.tau_mem.note == (
        "2 of 6 pilots had reached tau_mem before their first look, 3 not by their end, "
        "1 left out (28.54 [0, inf]: it excludes nothing)"
    )
    late = mh.forecast(rows[2:], n_train=1000)
    assert late.tau_mem.note.startswith("3 of 4 pilots had not reached tau_mem by their end, 1 left out (")


def test_optimizers_are_not_mixed(made):
    tree = to_plain(made)
    for run in tree["runs"][:2]:
        run["config"]["optimizer"]["name"] = "sgd"
        run["factors"]["optimizer"] = "sgd"
    found = mh.forecast(record_of(tree), n_train=128)
    assert found.status is Status.MIXED
    assert "optimizer.name" in found.tau_mem.note
    assert found.next_pilot is not None


def test_a_forecast_is_written_and_read(made, tmp_path):
    asked = ForecastRecord("f", "memhorizon forecast", mh.forecast(made, n_train=128))
    again = load_record(write_record(asked, tmp_path / "forecast.json"))
    assert isinstance(again, ForecastRecord)
    assert to_plain(again) == to_plain(asked)
    assert repr(again).startswith("ForecastRecord('f', Forecast(n_train 128: tau_gen")


def test_what_is_kept_of_an_answer_is_what_was_asked(made, tmp_path):
    found = mh.forecast(made, n_train=256)
    kept = mh.load_record(found.save(tmp_path / "f.json"))
    assert to_plain(kept) == to_plain(found.record())
    assert kept.forecast.summary() == found.summary()
    assert found.to_html(tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text() == report(kept)


def test_runs_of_a_training_of_ones_own(tmp_path):
    """What RunWriter writes has factors in place of a configuration."""
    items = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    quick = mh.MeasureConfig(n_samples=0, repeats=1, diffusion_times=(0.1,))
    factors = {"width": 16, "lr": 0.1, "crop": 24}
    writer = mh.RunWriter(tmp_path / "run", items, settings=quick, factors=factors)
    writer.observe(5, mh.Denoiser.exact(Empirical(items)))
    (pilot,) = read_pilots(tmp_path)
    assert (pilot.point.n_train, pilot.point.width, pilot.point.lr) == (8, 16, 0.1)
    assert pilot.setting["factors.crop"] == 24
    assert pilot.tau_mem.status is Status.NOT_MEASURED


def test_a_data_frame_is_told_how_to_be_rows():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([{"n": 50, "time": 900}, {"n": 100, "time": 2000}])
    with pytest.raises(mh.InputError, match=r"got a DataFrame: give its .to_dict\("):
        mh.forecast(frame, n_train=400)
    assert mh.forecast(frame.to_dict("records"), n_train=400).n_train == 400


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([], "^pilots: expected at least one"),
        (5, "^pilots: expected runs, records or rows"),
        ("nowhere", "^pilots: expected a run directory"),
        ([(50, 900)], r"^pilots: expected runs, records or rows such as .* got \(50, 900\)"),
        ({"n": [50, 100], "time": [900, 2000]}, "^pilots: expected a list of rows, .* got a dict of lists"),
        ("results/rates.json", "^pilots: expected records of sweeps, got a TableRecord"),
    ],
)
def test_sources_that_are_none(bad, words, unchecked, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(mh.InputError, match=words):
        mh.forecast(bad, n_train=8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_train": 0},
        {"n_train": 10**16},
        {"n_train": 8, "confidence": 1},
        {"n_train": 8, "lr": -1},
        {"n_train": 8, "accept_prior": 1},
    ],
)
def test_what_is_asked_is_checked(wrong, unchecked):
    name = list(wrong)[-1]
    with pytest.raises(mh.InputError, match=f"^{name}: expected"):
        mh.forecast([{"n": 8, "time": 100}], **wrong)


def test_another_belief_is_checked(unchecked):
    with pytest.raises(mh.InputError, match="^exponent: expected a mean and a standard deviation"):
        mh.forecast([{"n": 8, "time": 100}], n_train=8, exponent=1.0)
    for beyond in ((1e3, 0.1), (1.0, 1e300), (1.0, 1e-9)):
        with pytest.raises(mh.InputError, match=r"^exponent\[[01]\]: expected a finite number >= "):
            mh.forecast([{"n": 8, "time": 100}], n_train=8, exponent=beyond)
    rows = [{"n": 50, "time": 900}, {"n": 100, "time": 2000}]
    for steepest in ((10.0, 1e-6), (-10.0, 1e-6), (10.0, 5.0)):
        step = mh.forecast(rows, n_train=10**15, exponent=steepest).tau_mem.step
        assert 0 < 2 * step.low < step.value < step.high / 2


def test_pilots_that_were_late_at_their_first_look_are_not_said_to_be_early():
    rows = [{"n": n, "time": 50, "censored": "left"} for n in (50, 100)]
    found = mh.forecast(rows, n_train=1000)
    assert "2 of 2 pilots had reached tau_mem before their first look" in found.summary()
    assert found.next_pilot.n_train == 200
    mixed = mh.forecast([*rows, {"n": 200, "time": 90, "censored": "right"}], n_train=1000)
    assert "2 of 3 pilots had reached tau_mem before their first look, 1 not by their end" in mixed.summary()
    assert mixed.next_pilot.n_train == 200


@pytest.mark.parametrize("gap", [None, math.nan])
def test_gaps_of_a_table_are_what_is_not_known(gap):
    times = [(50, 900.0), (50, 2000.0), (100, 2100.0), (200, 4500.0)]
    rows = [{"n": n, "time": time} for n, time in times]
    columns = ("key", "seed", "tau_gen", "censored", "width", "lr", "batch_size")
    with_gaps = [{**row, **dict.fromkeys(columns, gap)} for row in rows]
    assert encode(read_pilots(with_gaps)) == encode(read_pilots(rows))  # from 3.13 on no NaN equals itself


def test_what_numpy_compares_is_censored_or_not():
    times = np.array([900.0, 2000.0])
    rows = [{"n": 50, "time": time, "censored": time > 1000} for time in times]
    assert [pilot.tau_mem.status for pilot in read_pilots(rows)] == [Status.OBSERVED, Status.NOT_REACHED]


@pytest.mark.parametrize("twice", [{"time": 900, "tau_mem": 7}, {"n_train": 7, "time": 900}])
def test_two_columns_for_one_thing_are_refused(twice):
    with pytest.raises(InputError, match="got both"):
        read_pilots([{"n": 50, **twice}])


def test_whole_numbers_of_tables_are_whole_numbers():
    """A column with gaps is one of floats in pandas."""
    table = [{"n": np.float64(50), "time": 900.0, "seed": 1.0}, {"n": 100.0, "time": 1800.0, "seed": 2}]
    assert [(pilot.point.n_train, pilot.seed) for pilot in read_pilots(table)] == [(50, 1), (100, 2)]
    with pytest.raises(InputError, match=r"n: expected a whole number .*50\.5"):
        read_pilots([{"n": 50.5, "time": 900.0}])


def test_runs_that_cannot_be_read_are_named(runs, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(runs[0].path.parent, root)
    damaged, unlogged, *_ = sorted(root.glob("*-seed0-*"))
    (damaged / "measures.jsonl").write_text("[]\n")
    (unlogged / "steps.jsonl").write_text("[]\n")  # the time that it took is unknown, not its curves
    found = mh.forecast(root, n_train=128, rules=RULES)
    (left_out,) = found.left_out
    assert left_out.startswith(f"{damaged.name}: ")
    assert "damaged" in left_out
    assert f"left out: {damaged.name}" in found.summary()
    assert len(found.pilots) == len(runs) - 1
    record = ForecastRecord("f", "", found)
    assert load_record(write_record(record, tmp_path / "f.json")).forecast.left_out == found.left_out
    assert "1 run left out" in report(record)
    # so does a record of these runs
    again = mh.forecast(mh.Sweep.of(root).record(RULES), n_train=128)
    assert again.left_out == found.left_out


def test_an_interval_that_the_tails_cannot_tell_is_refused(made):
    with pytest.raises(InputError, match="confidence: "):
        mh.forecast(made, n_train=128, confidence=1 - 1e-9)


def test_folders_are_read_by_the_same_rules_or_refused(runs, tmp_path):
    """As `memhorizon report FOLDER --rules...` leaves them; a record of something else tells no rules."""
    folders = []
    for name, level in (("a", 0.1), ("b", 0.2)):
        folder = tmp_path / name
        shutil.copytree(runs[0].path.parent, folder)
        write_record(
            record(mh.Sweep.of(folder).runs, replace(RULES, memorized=level)), folder / "record.json"
        )
        folders.append(folder)
    with pytest.raises(InputError, match="read by the same rules"):
        read_pilots(folders)
    assert len(read_pilots(folders, RULES)) == len(runs)
    times = [[pilot.tau_mem.rule for pilot in read_pilots(folder)] for folder in folders]
    assert times[0] != times[1]
    asked = ForecastRecord("f", "", mh.forecast(folders[0], n_train=128))
    write_record(asked, folders[1] / "record.json")
    assert [p.tau_mem.rule for p in read_pilots(folders)] == times[0]


@pytest.mark.parametrize("place", ["x" * 300, "x" * 300 + ".json", "nowhere", "nowhere.json"])
def test_a_place_that_cannot_be_is_refused_by_name(place):
    with pytest.raises(InputError, match="^pilots: "):
        read_pilots(place)
