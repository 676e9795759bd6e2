import copy
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memhorizon import figures
from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, MeasureConfig
from memhorizon.experiments.record import record
from memhorizon.experiments.run import run as run_once
from memhorizon.figures import style
from memhorizon.figures.records import groups, level_of
from memhorizon.networks.mlp import MLPConfig
from memhorizon.results import Time
from memhorizon.samplers import SamplerConfig
from memhorizon.timescales.rules import Rules
from memhorizon.training import TrainConfig
from sweeps import THRESHOLD, make_runs

RULES = Rules(t=0.3, memorized=0.1)


def sweep(folder, **settings):
    runs = make_runs(folder, **settings)
    return json.loads(json.dumps(record(runs, RULES, name="made"))), runs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two n, two seeds, one run of four that never copies long enough: all that a plain sweep can show."""
    return sweep(tmp_path_factory.mktemp("made"), n_train=(8, 256), seeds=(0, 1), steps=1500, channels=3)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A grid of n and width, too many settings for one panel."""
    found = sweep(tmp_path_factory.mktemp("wide"), n_train=(8, 16, 32, 64), widths=(8, 32), steps=4000)[0]
    late = next(run for run in found["runs"] if (run["n_train"], run["width"]) == (64, 8))
    late["times"]["tau_mem"].update(value=300.0, low=300.0, high=None, status="not reached")
    return found


def test_the_frame_of_the_clocks_is_the_record(made):
    rows = figures.clocks(made[0]).frame()
    for run in made[0]["runs"]:
        own = [r for r in rows if (r["n_train"], r["seed"]) == (run["n_train"], run["seed"])]
        for name in ("memorized", "holdout@0.3"):
            points = [r for r in own if r["quantity"] == name]
            for key in ("step", "value", "low", "high"):
                assert [p[key] for p in points] == run["curves"][name][key]
        for clock in ("tau_gen", "tau_mem"):
            (row,) = [r for r in own if r["quantity"] == clock]
            assert (row["value"], row["status"]) == (
                run["times"][clock]["value"],
                run["times"][clock]["status"],
            )


def test_an_end_that_nothing_bounds_is_null_in_the_record_and_infinite_in_the_frame(made):
    late = [r for r in figures.laws(made[0]).frame() if r.get("status") == "not reached"]
    assert late
    assert all(row["high"] == math.inf for row in late)


def test_collapse_divides_the_step_by_n(made):
    for row in figures.collapse(made[0]).frame():
        assert row["rescaled"] * row["n_train"] == pytest.approx(row["step"], rel=1e-15)


def test_where_the_width_is_varied_time_is_counted_in_n_over_w(wide):
    for row in figures.collapse(wide).frame():
        assert row["rescaled"] * row["n_train"] / row["width"] == pytest.approx(row["step"], rel=1e-12)


def test_the_frame_of_the_laws_has_the_exponents_of_the_record(wide):
    rows = figures.laws(wide).frame()
    for clock in ("tau_gen", "tau_mem"):
        for factor, entry in wide["laws"][clock]["exponents"].items():
            (row,) = [r for r in rows if r["quantity"] == f"exponent of {clock}" and r["factor"] == factor]
            assert (row["value"], row["low"], row["high"]) == (entry["value"], entry["low"], entry["high"])


def test_losses_hold_every_level(made):
    rows = figures.losses(made[0]).frame()
    assert {row["t"] for row in rows} == {0.01, 0.1, 0.3, 1.0}
    gap = {(r["label"], r["seed"], r["t"], r["step"]): r["value"] for r in rows if r["quantity"] == "gap"}
    for run in made[0]["runs"]:
        label = f"n = {run['n_train']}"
        difference = np.subtract(run["curves"]["holdout@0.1"]["value"], run["curves"]["train@0.1"]["value"])
        for step, value in zip(run["curves"]["gap@0.1"]["step"], difference, strict=True):
            assert gap[label, run["seed"], 0.1, step] == pytest.approx(value, abs=1e-12)


def test_samples_are_the_closest_ones_and_copies_are_those_below_the_threshold(made):
    picture = figures.samples(*made)
    rows = picture.frame()
    assert {row["when"] for row in rows} == {"early", "late"}
    for sheet in picture.sheets:
        run = next(r for r in made[1] if r.config.data.n_train == sheet.n_train and r.config.seed == 0)
        kept = run.read_samples(sheet.step)["ratio"].numpy()
        assert sheet.ratio.tolist() == sorted(kept.tolist())[: len(sheet.ratio)]
        assert sheet.copies == sum(kept < THRESHOLD)
        assert sheet.images.shape[1:] == (8, 8, 3)
        assert 0 <= sheet.images.min() <= sheet.images.max() <= 1
    assert any(row["copied"] for row in rows)
    assert all(row["copied"] == (row["ratio"] < THRESHOLD) for row in rows)


def phase_of(gen, mem, multiple):
    made = {"times": {"tau_gen": as_dict(gen), "tau_mem": as_dict(mem)}}
    return figures.phase(one_run() | {"runs": [one_run()["runs"][0] | made]}, multiples=(multiple,)).frame()[
        0
    ]


def as_dict(time):
    high = None if math.isinf(time.high) else time.high
    return {"value": time.value, "low": time.low, "high": high, "status": time.status, "rule": "made"}


def one_run():
    run = {"key": "a", "n_train": 8, "width": 16, "seed": 0, "curves": {}, "times": {}}
    return {"kind": "sweep", "rules": {}, "runs": [run]}


@pytest.mark.parametrize(
    ("gen", "mem", "multiple", "state"),
    [
        (("observed", 100), ("observed", 250), 1.0, "not copied"),
        (("observed", 100), ("observed", 250), 3.0, "copied"),
        (("observed", 100), ("not reached", 250), 2.0, "not copied"),
        (("observed", 100), ("not reached", 250), 3.0, "censored"),
        (("not reached", 250), ("observed", 200), 1.0, "censored"),
        (("before first", 50), ("observed", 200), 3.0, "not copied"),  # tau_gen is at most 50: 150 at most
        (("before first", 50), ("observed", 100), 3.0, "censored"),  # 3 tau_gen may lie on either side
        (("observed", 100), ("before first", 50), 1.0, "copied"),
    ],
)
def test_a_cell_of_the_phase_diagram(gen, mem, multiple, state):
    times = [Time(float(v), 0.0, math.inf, status, "made") for status, v in (gen, mem)]
    counts = phase_of(*times, multiple)
    assert {name: counts[name] for name in ("copied", "not copied", "censored")} == {
        name: int(name == state) for name in ("copied", "not copied", "censored")
    }


def test_every_figure_draws_without_a_warning_and_stays_small(made, wide, tmp_path):
    found = figures.of(*made) | {f"wide-{name}": figure for name, figure in figures.of(wide).items()}
    assert {"clocks", "collapse", "laws", "losses", "samples", "wide-clocks", "wide-phase"} <= set(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, figure in found.items():
            figures.save(figure.plot(), tmp_path / f"{name}.png")
            assert (tmp_path / f"{name}.png").stat().st_size < 100_000
            pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
            edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            assert edges.min() > 250, f"{name} runs over its edge"
    assert not list(tmp_path.glob("*.tmp"))


def test_the_same_record_gives_the_same_bytes_and_no_address_elsewhere(made, tmp_path):
    first, second = (figures.svg(figures.clocks(copy.deepcopy(made[0])).plot()) for _ in range(2))
    assert first == second
    figures.save(figures.clocks(made[0]).plot(), tmp_path / "clocks.svg")
    assert (tmp_path / "clocks.svg").read_text() == first
    assert "<dc:date>" not in first


def test_drawing_leaves_matplotlib_as_it_was(made):
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.collapse(made[0]).plot()
    assert dict(matplotlib.rcParams) == before


def test_colours_keep_their_order_and_distance_in_grey():
    for count in (2, 3, 5, 8):
        channels = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in style.colours(count)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        luminance = linear @ [0.2126, 0.7152, 0.0722]  # sRGB, what a grey print keeps
        lightness = 116 * np.cbrt(np.maximum(luminance, 0.0089)) - 16
        assert np.all(np.diff(lightness) > 55 / count - 3), (count, lightness)
        assert np.all(1.05 / (luminance + 0.05) > 2.2)  # still seen on white


def test_settings_are_told_apart_by_what_was_varied(made, wide):
    assert [g.label for g in groups(made[0])] == ["n = 8", "n = 256"]
    assert {g.panel for g in groups(wide)} == {"width = 8", "width = 32"}
    other = copy.deepcopy(made[0])
    for run in other["runs"]:
        run["config"]["optimizer"]["lr"] = 0.1 if run["seed"] else 0.2
    assert {g.label for g in groups(other)} == {f"n = {n}, lr = {lr}" for n in (8, 256) for lr in (0.1, 0.2)}


def broken(made, change):
    bad = copy.deepcopy(made[0])
    change(bad)
    return bad


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: r.update(kind="cake"), "cake"),
        (lambda r: r.update(runs=[]), "runs"),
        (lambda r: r.pop("rules"), "rules"),
        (lambda r: r["runs"][1].pop("curves"), "curves"),
        (lambda r: [run.update(curves={}) for run in r["runs"]], "curves"),
        (lambda r: r["runs"][0]["curves"]["memorized"].update(value="text"), "cannot be used"),
    ],
)
def test_a_record_that_cannot_be_drawn_says_why(made, change, word):
    with pytest.raises(InputError, match=word):
        figures.clocks(broken(made, change)).plot()


def no_time(time, status="not measured"):
    time.update(value=None, low=0.0, high=None, status=status, rule="none")


@pytest.mark.parametrize("name", ["memorized", "holdout@0.3"])
def test_a_curve_that_was_not_measured_leaves_its_panel_and_its_times_empty(made, name):
    clock = "tau_mem" if name == "memorized" else "tau_gen"

    def cut(record):
        for run in record["runs"]:
            del run["curves"][name]
            no_time(run["times"][clock])

    picture = figures.clocks(broken(made, cut))
    assert name not in {row["quantity"] for row in picture.frame()}
    texts = [text.get_text() for axes in picture.plot().axes for text in axes.texts]
    assert texts.count("not measured") == 1
    found = figures.of(broken(made, cut))
    assert ("collapse" in found) == (name != "memorized")
    found["laws"].plot()  # with the other time alone


def test_runs_without_a_time_are_left_out_of_the_laws(made, wide):
    def all_unknown(record):
        for run in record["runs"]:
            for clock in ("tau_gen", "tau_mem"):
                no_time(run["times"][clock], "still improving")

    assert "laws" not in figures.of(broken(made, all_unknown))
    with pytest.raises(InputError, match="times of at least one run"):
        figures.laws(broken(made, all_unknown)).plot()
    one = copy.deepcopy(wide)
    no_time(one["runs"][0]["times"]["tau_gen"], "trivial level")
    figures.laws(one).plot()
    rows = figures.phase(one, multiples=(3.0,)).frame()
    assert [row["censored"] for row in rows].count(1) >= 1


def test_where_nothing_copies_null_and_interval_hide_no_curve(made):
    def nothing(record):
        for run in record["runs"]:
            curve = run["curves"]["memorized"]
            points = len(curve["step"])
            curve.update(value=[0.0] * points, low=[0.0] * points, high=[0.009] * points)
            last = curve["step"][-1]
            run["times"]["tau_mem"].update(value=last, low=last, high=None, status="not reached")

    figure = figures.clocks(broken(made, nothing)).plot()
    middle = figure.axes[1]
    curves = [line for line in middle.lines if line.get_marker() not in ("", "None")]
    others = [item for item in (*middle.lines, *middle.patches, *middle.collections) if item not in curves]
    assert len(curves) == 4
    assert max(item.get_zorder() for item in others) < min(line.get_zorder() for line in curves)
    assert middle.get_ylim()[1] >= 0.1  # the level of tau_mem: the interval is a tenth of the panel


def test_the_level_drawn_is_the_one_that_the_times_were_read_at(made):
    """Whatever settled it: the value is the one in the rule of the record, to its four digits."""
    best = max(min(run["curves"]["holdout@0.3"]["value"]) for run in made[0]["runs"])
    assert level_of(made[0]) == pytest.approx(1.05 * best, rel=5e-4)
    assert level_of(broken(made, lambda r: [no_time(run["times"]["tau_gen"]) for run in r["runs"]])) is None


def test_a_dollar_sign_in_a_name_begins_no_mathematics(made):
    def name(record):
        for run in record["runs"]:
            run["config"]["data"]["path"] = f"$\\no{run['seed']}"

    figures.clocks(broken(made, name)).plot()


RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize("name", ["rates", "reruns", "halves_digits", "threshold_mixture", "first_digits"])
def test_records_of_other_kinds_cope_without_times_and_refuse_damage(name):
    record = json.loads((RESULTS / f"{name}.json").read_text())
    part = "rows" if "rows" in record else "seeds"
    unknown = copy.deepcopy(record)
    forget(unknown)
    draw(unknown)
    damaged = [
        {**record, part: [{**row, key: "<b>"} for row in record[part]]} for key in ("tau_mem", "images")
    ]
    damaged += [{**record, part: wrong} for wrong in (None, 1, [1], [[]], [{}])]
    for other in damaged[2 if part == "rows" else 1 :]:
        with pytest.raises(InputError, match="record"):
            draw(other)


def draw(record):
    for picture in figures.of(record).values():
        picture.plot()


def forget(value):
    """Turn every time and estimate into one that is not known."""
    if isinstance(value, dict) and {"value", "low", "high", "status"} <= set(value):
        no_time(value)
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        forget(entry)


def test_bad_input_is_named(made, tmp_path):
    with pytest.raises(InputError, match=r"\.svg or \.png"):
        figures.save(figures.clocks(made[0]).plot(), tmp_path / "clocks.gif")
    with pytest.raises(InputError, match="run directories"):
        figures.samples(made[0], [])
    with pytest.raises(InputError, match="multiples"):
        figures.phase(made[0], multiples=(0.0,))
    with pytest.raises(InputError, match="width"):
        figures.phase(broken(made, lambda r: r["runs"][0].update(width=None)))
    with pytest.raises(InputError, match="train@t"):
        figures.losses(broken(made, lambda r: [run.update(curves={}) for run in r["runs"]]))
    with pytest.raises(InputError, match="list"):
        figures.of([1, 2])
    assert figures.of({"kind": "unknown"}) == {}


def test_points_have_no_picture_of_samples(tmp_path):
    """Samples of a mixture are vectors: the other figures are drawn all the same."""
    config = Config(
        data=DataConfig(name="mixture", dim=4, n_train=16, n_holdout=32),
        model=MLPConfig(width=16),
        train=TrainConfig(n_updates=20),
        measure=MeasureConfig(
            snapshots=4, first=2, n_samples=20, sampler=SamplerConfig(n_solver_steps=4), repeats=1
        ),
    )
    directory = run_once(config, root=tmp_path)
    assert directory.sample_steps()
    found = figures.of(record([directory], Rules(t=0.3)), [directory])
    assert "samples" not in found
    assert "clocks" in found
