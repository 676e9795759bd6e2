"""Records: what figures read is what the runs measured, and the timescales are those of the curves."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evidence_records import RECORDS, SWEEPS
from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.comparable import once
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Inline
from memhorizon.experiments.reading import Reading, read_run
from memhorizon.experiments.record import _groups, record
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import grid
from memhorizon.figures.contrasts import contrasts
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.records.check import check_sweep
from memhorizon.records.codec import decode, encode
from memhorizon.records.files import VERSION, record_of, to_text
from memhorizon.records.sweep import DataFacts
from memhorizon.results import Curve, Fraction, Status
from memhorizon.samplers import SamplerConfig
from memhorizon.schedule import ScheduleConfig
from memhorizon.sweeps import sweep
from memhorizon.timescales.rules import Rules
from memhorizon.timescales.times import memorization_time
from memhorizon.training import OptimizerConfig, TrainConfig
from sweeps import make_runs

BASE = Config(
    data=DataConfig(name="mixture", n_train=8, n_holdout=16),
    model=MLPConfig(width=16, blocks=1),
    train=TrainConfig(n_updates=20),
    measure=MeasureConfig(
        snapshots=4, first=2, n_samples=10, sampler=SamplerConfig(n_solver_steps=4), repeats=1
    ),
)


def planted(tmp_path, n_train, seed, counts, batch_size=None):
    """A run directory whose memorized counts are given, at 10, 20, 40, ... steps."""
    train = replace(BASE.train, batch_size=batch_size)
    config = replace(BASE, data=replace(BASE.data, n_train=n_train), train=train, seed=seed)
    directory = RunDir.create(tmp_path, config)
    for k, count in enumerate(counts):
        step = 10 * 2**k
        rows = [
            {
                "measure": "memorized",
                "value": count / 1000,
                "count": count,
                "total": 1000,
                "null_count": 0,
                "null_total": 500,
            },
            {"measure": "holdout", "t": 0.1, "value": 0.1 + 1 / step, "se": 1e-4},
            {"measure": "gap", "t": 0.1, "value": 0.0, "se": 1e-4},
        ]
        directory.append_measures({"step": step, **row} for row in rows)
    return directory


def curve_name(measured):
    """The name of the curve that a row of measures.jsonl belongs to."""
    t = measured.get("t")
    return measured["measure"] if t is None else f"{measured['measure']}@{t:g}"


def test_a_record_is_json_and_holds_every_curve(tmp_path):
    runs = sweep(grid(BASE, n_train=(8, 16), seed=(0,)), root=tmp_path, executor=Inline()).runs
    made = record(runs, name="test")
    assert to_text(record_of(json.loads(to_text(made)))) == to_text(made)
    for row, run in zip(made.runs, runs, strict=True):
        assert row.curves.keys() == {curve_name(measured) for measured in run.measures()}
        assert row.curves["memorized"].step.tolist() == run.snapshots()
        counts = [r["count"] / r["total"] for r in run.measures() if r["measure"] == "memorized"]
        assert row.curves["memorized"].value.tolist() == counts
        assert row.n_train == run.config.data.n_train


def test_timescales_and_law_of_planted_runs(tmp_path):
    """The same rise of f_mem at twice the steps for twice the n: the exponent is 1."""
    rows = {4: (0, 0, 200, 400), 8: (0, 0, 0, 200, 400), 16: (0, 0, 0, 0, 200, 400)}
    runs = [planted(tmp_path, n, seed, rows[n]) for n in rows for seed in (0, 1)]
    made = record(runs, Rules(memorized=0.1))
    times = [row.timescales for row in made.runs]
    expected = {4: (20, 40), 8: (40, 80), 16: (80, 160)}  # the snapshots with f_mem = 0 and 0.2
    for row, own in zip(made.runs, times, strict=True):
        before, after = expected[row.n_train]
        assert before < own.tau_mem.value < after
        assert own.tau_mem == memorization_time(row.curves["memorized"], level=0.1, null=row.null)
    law = made.laws["tau_mem"]
    logs = [np.log([r.config.data.n_train, own.tau_mem.value]) for r, own in zip(runs, times, strict=True)]
    slope = np.polyfit(*np.transpose(logs), 1)[0]  # no time is censored, so the fit is least squares
    assert law.exponents["n_train"].value == pytest.approx(slope, abs=1e-3)
    assert slope == pytest.approx(1.0, abs=1e-2)
    assert law.observed == 6


@pytest.mark.parametrize(("batch_size", "exponent"), [(None, 1.0), (4, 0.0)])
def test_repetition_has_exponent_zero_in_passes(tmp_path, batch_size, exponent):
    """tau_mem ~ n in steps: in full batch passes are steps, with 4 items per step they are 4 steps / n."""
    rows = {4: (0, 0, 200, 400), 8: (0, 0, 0, 200, 400), 16: (0, 0, 0, 0, 200, 400)}
    runs = [planted(tmp_path, n, seed, rows[n], batch_size) for n in rows for seed in (0, 1)]
    law = record(runs, Rules(memorized=0.1)).laws["passes"]
    assert law.exponents["n_train"].value == pytest.approx(exponent, abs=1e-2)


def test_curves_at_n_over_w_collapse_in_that_unit_only(tmp_path):
    """Planted: half is reached at a multiple of n/W, but for a scatter of 12 % and of 10 % per seed."""
    runs = make_runs(tmp_path, widths=(8, 16, 32), seeds=(0, 1), steps=20_000)
    found = record(runs, Rules(t=0.3)).collapse
    n, width = np.repeat([8, 16, 32], 6), np.tile(np.repeat([8, 16, 32], 2), 3)
    half = 1.06 ** ((7 * n + 3 * width) % 5 - 2.0) * 1.1 ** np.tile([0, 1], 9)
    spread = {
        "steps / n_train": np.log(half / width),
        "steps * width": np.log(half * n),
        "steps * width / n_train": np.log(half),
    }
    for unit, logs in spread.items():
        wanted = logs.var() / np.log(half * n / width).var()
        assert found[unit].value == pytest.approx(wanted, rel=0.1, abs=0.01)  # snapshots lie 70 % apart


def hyperparameter_runs(tmp_path, ratio):
    """Three seeds without and with an average of the weights; f_mem begins that much later, in snapshots."""
    runs = []
    for ema, factor in ((0.0, 1.0), (0.9, ratio)):
        for seed, own in enumerate((0.8, 1.0, 1.3)):
            counts = [int(np.clip(200 * (k - 5 * own * factor), 0, 1000)) for k in range(10)]
            config = replace(BASE, train=replace(BASE.train, ema=ema), seed=seed)
            directory = RunDir.create(tmp_path, config)
            for k, count in enumerate(counts):
                step = 10 * 2**k
                copies = {"measure": "memorized", "value": count / 1000, "count": count, "total": 1000}
                loss = {"measure": "holdout", "t": 0.1, "value": 0.1 + 1 / step, "se": 1e-9}
                gap = {"measure": "gap", "t": 0.1, "value": 0.0, "se": 1e-4}
                directory.append_measures({"step": step, **row} for row in (copies, loss, gap))
            runs.append(directory)
    return runs


def test_a_sweep_over_a_hyperparameter_has_contrasts_of_both_timescales(tmp_path):
    made = record(hyperparameter_runs(tmp_path, 1.2), Rules(memorized=0.1))
    assert made.laws == {}
    assert [(row.factor, row.reference, row.value, row.timescale) for row in made.contrasts] == [
        ("ema", 0.0, 0.9, "tau_gen"),
        ("ema", 0.0, 0.9, "tau_mem"),
    ]
    gen, mem = (row.ratio for row in made.contrasts)
    assert gen.value == pytest.approx(1, abs=1e-3)
    assert 1.3 < mem.value < 2.7  # 0.8 to 1.3 snapshots later, each a factor of two


def test_a_hyperparameter_whose_times_are_not_reached_is_bounded_or_left_open(tmp_path):
    runs = hyperparameter_runs(tmp_path, 3.0)
    made = record(runs, Rules(memorized=0.1))
    row = made.contrasts[-1]
    first = [run.timescales.tau_mem.value for run in made.runs[:3]]
    assert row.at_least == pytest.approx(math.exp(np.log(5120 / np.array(first)).mean()))
    assert (row.timescale, row.observed, row.censored) == ("tau_mem", 3, 3)
    assert math.isnan(row.ratio.value)
    assert row.status is Status.NOT_FITTED
    assert "observed times" in row.note


def test_the_picture_of_a_hyperparameter_shows_ratios_and_bounds(tmp_path):
    made = record(hyperparameter_runs(tmp_path, 3.0), Rules(memorized=0.1))
    picture = contrasts(made)
    gen, mem = picture.frame()
    assert (gen["hyperparameter"], gen["value"]) == (0.9, made.contrasts[0].ratio.value)
    assert math.isnan(mem["value"])
    assert mem["at_least"] == made.contrasts[1].at_least
    drawn = [line.get_ydata() for line in picture.plot().axes[0].lines]
    heights = [float(np.asarray(y)[0]) for y in drawn if len(y)]
    assert {gen["value"], mem["at_least"]} <= set(heights)
    with pytest.raises(InputError, match="momentum|hyperparameter|contrast"):
        contrasts(record([planted(tmp_path, n, 0, (0, 200)) for n in (4, 8)]))


def test_momentum_is_a_hyperparameter_of_sgd_and_none_of_adam(tmp_path):
    sgd = grid(replace(BASE, optimizer=OptimizerConfig("sgd", lr=1e-3)), momentum=(0.0, 0.9), seed=(0, 1))
    runs = sweep(sgd, root=tmp_path, executor=Inline()).runs
    made = record(runs)
    assert [row.factors["momentum"] for row in made.runs] == [0.0, 0.0, 0.9, 0.9]
    assert {(row.factor, row.value) for row in made.contrasts} == {("momentum", 0.9)}
    adam = sweep([BASE], root=tmp_path, executor=Inline()).runs
    assert "momentum" not in record(adam).runs[0].factors
    both = record([*runs, *adam])
    assert [row.value for row in both.contrasts] == [0.9, 0.9]
    assert both.others[0].differs["optimizer.name"] == "adam"  # two optimizers are not one hyperparameter


def test_a_hyperparameter_of_unfinished_sweeps_says_so(tmp_path):
    runs = hyperparameter_runs(tmp_path, 1.2)
    made = record([runs[0], runs[4]], Rules(memorized=0.1))  # no seed is there with both values
    assert all(row.ratio is None or math.isnan(row.ratio.value) for row in made.contrasts)


def test_what_was_not_reached_stays_so(tmp_path):
    runs = [planted(tmp_path, n, 0, (0, 0, 0)) for n in (4, 8)]
    made = record(runs)
    assert {row.timescales.tau_mem.status for row in made.runs} == {Status.NOT_REACHED}
    assert math.isnan(made.laws["tau_mem"].exponents["n_train"].value)
    assert made.laws["tau_mem"].status is Status.NOT_FITTED


def test_the_null_is_that_of_the_held_out_items(tmp_path):
    assert read_run(planted(tmp_path, 4, 0, (0,))).null == Fraction.of(0, 500)


def test_bad_records_are_refused(tmp_path):
    empty = RunDir.create(tmp_path, BASE)
    with pytest.raises(InputError, match="nothing is measured yet"):
        record([empty])
    run = planted(tmp_path, 4, 0, (0, 1))
    with pytest.raises(InputError, match="has no curve"):
        record([run], Rules(quality="frechet", t=None))
    with pytest.raises(InputError, match="runs"):
        record([])


# --- what counts as a run, and what compares ---


def written(root, config, late=300.0, losses=None, t=0.1, fingerprint=None, parts=("holdout", "memorized")):
    """A run directory with a loss that settles and copies that begin at `late`; nothing is trained."""
    run = RunDir.create(root, config)
    for step in (10, 100, 300, 1000, 3000, 10_000):
        count = int(200 * min(1, step / 4 / late))
        loss = 0.1 + 1 / step if losses is None else losses(step)
        rows = {
            "holdout": {"step": step, "measure": "holdout", "t": t, "value": loss, "se": 1e-3 * loss},
            "memorized": {"measure": "memorized", "value": count / 200, "count": count, "total": 200},
        }
        run.append_measures({"step": step, **rows[part]} for part in parts)
    if fingerprint:
        (run.path / "data.json").write_text(json.dumps({"fingerprint": fingerprint}))
    return run


def with_(**parts):
    """The base configuration with entries of its parts replaced, by the name of the part."""
    changed = {
        name: replace(getattr(BASE, name), **entries) for name, entries in parts.items() if name != "seed"
    }
    return replace(BASE, **changed, seed=parts.get("seed", 0))


SAME = {
    "a batch above n": (with_(train={"batch_size": 8}), with_(train={"batch_size": 64})),
    "full batch, in two ways": (with_(train={"batch_size": None}), with_(train={"batch_size": 8})),
    "momentum of Adam": (BASE, with_(optimizer={"momentum": 0.5})),
    "betas of SGD": (with_(optimizer={"name": "sgd"}), with_(optimizer={"name": "sgd", "betas": (0.5, 0.9)})),
    "AdamW without decay": (BASE, with_(optimizer={"name": "adamw"})),
    "a longer training": (BASE, with_(train={"n_updates": 30})),
    "measured another way": (BASE, with_(measure={"n_samples": 20, "diffusion_times": (0.1,)})),
    "more held-out items": (BASE, with_(data={"n_holdout": 32})),
    "mixture fields of digits": (with_(data={"name": "digits"}), with_(data={"name": "digits", "dim": 3})),
}
OTHER = {
    "another seed": (BASE, with_(seed=1)),
    "another subset": (BASE, with_(data={"subset": 1})),
    "a batch below n": (BASE, with_(train={"batch_size": 4})),
    "momentum of SGD": (with_(optimizer={"name": "sgd"}), with_(optimizer={"name": "sgd", "momentum": 0.5})),
    "an average of the weights": (BASE, with_(train={"ema": 0.9})),
}


@pytest.mark.parametrize("case", SAME)
def test_one_training_counts_once_whatever_it_is_called(tmp_path, case):
    one, two = (written(tmp_path, config) for config in SAME[case])
    assert one.path != two.path
    made = record([one, two])
    assert [row.key for row in made.runs] == [one.path.name]
    (out,) = made.left_out
    assert (out.key, one.path.name in out.reason) == (two.path.name, True)


@pytest.mark.parametrize("case", OTHER)
def test_other_trainings_count_each(tmp_path, case):
    made = record([written(tmp_path, config) for config in OTHER[case]])
    assert len(made.runs) == 2
    assert made.left_out == ()


def test_a_copy_of_a_directory_and_a_run_listed_again_change_no_law(tmp_path):
    runs = [written(tmp_path, with_(data={"n_train": n}), late=30 * n + n % 3) for n in (4, 8, 16)]
    copies = [RunDir(Path(shutil.copytree(run.path, f"{run.path}.bak"))) for run in runs]
    once_only = record(runs)
    for every in (runs + copies, runs * 4):
        made = record(every)
        assert encode(made.laws) == encode(once_only.laws)
        assert len(made.left_out) == len(every) - 3


def test_of_one_training_the_longest_is_kept(tmp_path):
    short = planted(tmp_path, 8, 0, (0, 0, 1))
    long = written(tmp_path, replace(short.config, train=replace(short.config.train, n_updates=999)))
    assert [row.key for row in record([short, long]).runs] == [long.path.name]


def test_the_same_items_from_another_place_are_the_same_run(tmp_path):
    folders = [with_(data={"name": "folder", "path": path}) for path in ("a", "b", "c")]
    prints = ("sha256:1", "sha256:1", "sha256:2")
    runs = [written(tmp_path, c, fingerprint=p) for c, p in zip(folders, prints, strict=True)]
    made = record(runs)
    assert [out.key for out in made.left_out] == [runs[1].path.name]


def test_other_items_under_the_same_name_do_not_compare(tmp_path):
    folder = with_(data={"name": "folder", "path": "a"})
    prints = ("sha256:1", "sha256:2", None)
    runs = [written(tmp_path, replace(folder, seed=i), fingerprint=p) for i, p in enumerate(prints)]
    made = record(runs)
    assert [row.key for row in made.runs] == [runs[0].path.name, runs[2].path.name]
    assert made.runs[0].data == DataFacts(fingerprint="sha256:1")
    assert "other items" in made.left_out[0].reason


UNLIKE = {
    "train.prediction": with_(train={"prediction": "x0"}),
    "measure.threshold": with_(measure={"threshold": 0.9}),
    "measure.sampler.method": with_(measure={"sampler": SamplerConfig("ddpm", 4)}),
    "measure.sampler.n_solver_steps": with_(measure={"sampler": SamplerConfig(n_solver_steps=9)}),
    "data.dim": with_(data={"dim": 3}),
    "data.name": with_(data={"name": "gaussian"}),
    "optimizer.name": with_(optimizer={"name": "sgd"}),
    "schedule.kind": replace(BASE, schedule=ScheduleConfig(kind="cosine")),
    "train.diffusion_time": with_(train={"diffusion_time": 0.1}),
    "train.precision": with_(train={"precision": "bfloat16"}),
    "model.kind": replace(with_(train={"diffusion_time": 0.1}), model=FeaturesConfig()),
    "model.blocks": with_(model={"blocks": 2}),
}


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Runs that compare, and their record."""
    root = tmp_path_factory.mktemp("alike")
    runs = [written(root, with_(data={"n_train": n}), late=40 * n) for n in (4, 8, 16, 32)]
    return runs, record(runs)


@pytest.mark.parametrize("name", UNLIKE)
def test_unlike_runs_are_records_of_their_own(tmp_path, alike, name):
    """Neither the law nor the level of the others moves: its loss is 30 times theirs."""
    runs, alone = alike
    other = written(tmp_path, replace(UNLIKE[name], seed=7), late=9000, losses=lambda step: 30 + 1 / step)
    made = record([other, *runs])
    assert encode([made.runs, made.laws]) == encode([alone.runs, alone.laws])
    (second,) = made.others
    assert [row.key for row in second.runs] == [other.path.name]
    assert name in second.differs


def test_two_values_of_a_hyperparameter_share_no_power_law(tmp_path):
    def swept(ema, late):
        configs = [with_(data={"n_train": n}, train={"ema": ema}) for n in (4, 8, 16)]
        return [written(tmp_path, c, late=late * c.data.n_train) for c in configs]

    without = swept(0.0, 40)
    averaged = swept(0.9, 400)
    for runs in ([*without, *averaged], [*averaged, *without]):  # whatever the order of their names
        made = record(runs)
        assert encode(made.laws) == encode(record(without).laws)
        assert made.others[0].differs == {"ema": 0.9}


def test_factors_that_move_together_give_a_status(tmp_path):
    configs = [with_(data={"n_train": n}, optimizer={"lr": 1 / n}) for n in (4, 8, 16)]
    law = record([written(tmp_path, config) for config in configs]).laws["tau_mem"]
    assert (law.status, law.note[:18]) == (Status.NOT_FITTED, "by: the exponents ")
    assert law.observed + law.censored == 3
    assert math.isnan(law.log_prefactor)


@pytest.mark.parametrize("name", SWEEPS)
def test_the_committed_sweeps_are_one_group_each(name):
    """Of the record only what is looked at is decoded."""
    made = json.loads((RECORDS / f"{name}.json").read_text())
    assert made["version"] == VERSION
    readings = []
    for row in made["runs"]:
        copied = {"memorized": decode(row["curves"]["memorized"], Curve)}
        config = decode(row["config"], Config)
        readings.append(Reading(row["key"], config, copied, None, {}, DataFacts()))
    kept, left_out = once(readings)
    assert left_out == []
    assert [len(group) for group in _groups(kept)] == [len(made["runs"])]


def test_one_training_measured_in_two_ways_counts_once_in_each(tmp_path):
    """Copies at another threshold are other times: a record of their own."""
    two = [written(tmp_path, with_(measure={"threshold": threshold})) for threshold in (0.3, 0.9)]
    made = record(two)
    assert [len(made.runs), len(made.others[0].runs)] == [1, 1]


# --- runs that cannot be read, and parts that were not measured ---


def test_a_damaged_or_unmeasured_run_does_not_block_the_others(tmp_path):
    good = [written(tmp_path, with_(data={"n_train": n})) for n in (4, 8)]
    empty = RunDir.create(tmp_path, with_(seed=3))
    torn = written(tmp_path, with_(seed=4))
    (torn.path / "measures.jsonl").write_text("{no json}\n")
    edited = written(tmp_path, with_(seed=5))
    (edited.path / "config.json").write_text("[]")
    made = record([empty, *good, torn, edited])
    assert [row.key for row in made.runs] == [run.path.name for run in good]
    reasons = {out.key: out.reason for out in made.left_out}
    assert set(reasons) == {run.path.name for run in (empty, torn, edited)}
    assert "nothing is measured yet" in reasons[empty.path.name]
    assert check_sweep(record_of(json.loads(to_text(made))))


@pytest.mark.parametrize("part", ["holdout", "memorized"])
def test_a_missing_curve_is_no_time_and_no_error(tmp_path, part):
    runs = [written(tmp_path, with_(data={"n_train": n}), parts=(part,)) for n in (4, 8, 16)]
    made = record(runs)
    lost = "tau_mem" if part == "holdout" else "tau_gen"
    times = [getattr(row.timescales, lost) for row in made.runs]
    assert {time.status for time in times} == {Status.NOT_MEASURED}
    assert all(math.isnan(time.value) for time in times)
    assert made.laws[lost].left_out == 3
    assert made.laws[lost].note.endswith("left out: 3 not measured")


NEAREST = [((0.01, 0.05), 0.05), ((0.1, 0.3), 0.1), ((0.01,), 0.01), ((1.0,), 1.0)]


@pytest.mark.parametrize(("times", "taken"), NEAREST)
def test_the_default_rules_take_the_nearest_diffusion_time(tmp_path, times, taken):
    run = RunDir.create(tmp_path, BASE)
    for step in (10, 100, 1000):
        run.append_measures(
            {"step": step, "measure": "holdout", "t": t, "value": 0.5, "se": 0.01} for t in times
        )
    made = record([run])
    assert made.rules.t == taken
    assert f"holdout@{taken:g}" in made.runs[0].timescales.tau_gen.rule


def test_losses_without_an_error_and_a_null_near_one_are_no_times(tmp_path):
    run = RunDir.create(tmp_path, BASE)
    for step in (10, 100):
        rows = [
            {"measure": "holdout", "t": 0.1, "value": 0.5, "se": None},
            {
                "measure": "memorized",
                "value": 0.5,
                "count": 5,
                "total": 10,
                "null_count": 95,
                "null_total": 100,
            },
        ]
        run.append_measures({"step": step, **row} for row in rows)
    times = record([run]).runs[0].timescales
    assert {times.tau_gen.status, times.tau_mem.status} == {Status.NOT_MEASURED}


# --- statuses that are no times ---


def test_a_quality_that_still_comes_down_has_no_level(tmp_path):
    made = record([written(tmp_path, BASE, losses=lambda step: step**-0.5)])
    assert made.runs[0].timescales.tau_gen.status == "still improving"
    assert "gap_opening" not in made.runs[0].timescales.others


def test_a_run_that_still_improves_is_read_at_the_level_of_those_that_do_not(tmp_path):
    settled = written(tmp_path, BASE)
    late = written(tmp_path, with_(seed=1), losses=lambda step: step**-0.3)  # 0.063 at the end, below 0.1
    made = record([settled, late])
    level = 1.05 * (0.1 + 1e-4)
    assert all(f"{level:.4g}" in row.timescales.tau_gen.rule for row in made.runs)
    # step ** -0.3 = level, between snapshots 1000 and 3000 read along a straight line in log step
    log = np.interp(-level, [-(1000**-0.3), -(3000**-0.3)], np.log([1000, 3000]))
    assert made.runs[1].timescales.tau_gen.value == pytest.approx(np.exp(log), rel=1e-6)


@pytest.mark.parametrize("loss", [1.0, 0.96, 2.5])
def test_the_loss_of_a_network_that_predicts_nothing_is_no_level(tmp_path, loss):
    """E|noise|^2 / d = 1: within the tolerance of it nothing was learned; of x0 it says nothing."""
    flat = written(tmp_path, BASE, losses=lambda _: loss)
    assert record([flat]).runs[0].timescales.tau_gen.status == "trivial level"
    x0 = written(tmp_path, with_(train={"prediction": "x0"}), losses=lambda _: loss)
    assert record([x0]).runs[0].timescales.tau_gen.status == "before first"


def test_a_run_that_learned_nothing_takes_no_time_from_the_others(tmp_path):
    good = [written(tmp_path, with_(seed=seed)) for seed in (1, 2)]
    stuck = written(tmp_path, BASE, losses=lambda _: 1.0)
    rows = record([stuck, *good]).runs
    assert [row.timescales.tau_gen.status for row in rows] == ["not reached", "observed", "observed"]


ROWS = [
    {"t": "x"},
    {"t": None},
    {"t": [1]},
    {"t": 0},
    {"se": None, "value": "x"},
    {"se": "x"},
    {"se": -1},
    {"step": 10**400},
    {"step": 0},
    {"step": -4},
    {"step": 10**30},
    {"value": 10**400},
    {"measure": "memorized", "count": 1},
    {"measure": "memorized", "count": 5, "total": 4},
    {"measure": "memorized", "count": 1, "total": 4, "null_total": 4},
    {"measure": "memorized", "count": 1, "total": 4, "null_total": 4, "null_count": "z"},
    {"measure": "memorized", "count": 1, "total": 1.5},
]


@pytest.mark.parametrize("change", [*ROWS, "se"], ids=str)
def test_a_damaged_row_leaves_its_run_out_and_no_other(tmp_path, change):
    whole = planted(tmp_path, 8, 0, (0, 10, 900))
    damaged = planted(tmp_path, 16, 0, (0, 10, 900))
    row = {"step": 80, "measure": "holdout", "t": 0.1, "value": 0.1, "se": 1e-4}
    if change == "se":
        del row["se"]
    else:
        row |= change
    text = json.dumps(row) + "\n"
    with (damaged.path / "measures.jsonl").open("a") as handle:
        handle.write(text)
    made = record([damaged, whole])
    assert [own.key for own in made.runs] == [whole.path.name]
    assert [own.key for own in made.left_out] == [damaged.path.name]
    assert check_sweep(made)


FACTS = [
    ("data.json", '{"duplicates": 5}'),
    ("data.json", '{"ignored": 3}'),
    ("data.json", '{"ignored": 1e999}'),
    ("data.json", '{"skipped": [5]}'),
    ("data.json", '{"fingerprint": ["a"]}'),
    ("environment.json", '{"threads": 1e999}'),
    ("environment.json", '{"device": ["cpu"]}'),
    ("environment.json", "[1]"),
]


@pytest.mark.parametrize(("name", "text"), FACTS)
def test_damaged_facts_leave_their_run_out_and_no_other(tmp_path, name, text):
    whole = planted(tmp_path, 8, 0, (0, 10, 900))
    damaged = planted(tmp_path, 16, 0, (0, 10, 900))
    (damaged.path / name).write_text(text)
    made = record([damaged, whole])
    assert [own.key for own in made.left_out] == [damaged.path.name]
    assert check_sweep(made)


def test_what_may_not_be_read_is_left_out(tmp_path, monkeypatch):
    whole = planted(tmp_path, 8, 0, (0, 10, 900))
    closed = planted(tmp_path, 16, 0, (0, 10, 900))
    read = Path.read_bytes

    def refuse(path):
        if path == closed.path / "measures.jsonl":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (left_out,) = record([closed, whole]).left_out
    assert left_out.key == closed.path.name
    assert "Permission denied" in left_out.reason


def test_the_run_of_the_current_folder_has_its_name(tmp_path, monkeypatch):
    own = planted(tmp_path, 8, 0, (0, 10, 900))
    monkeypatch.chdir(own.path)
    assert record([RunDir(Path("."))]).runs[0].key == own.path.name
