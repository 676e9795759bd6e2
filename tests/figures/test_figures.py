import copy
import itertools
import json
import math
import warnings

import numpy as np
import pytest
from PIL import Image

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.record import record
from memhorizon.experiments.run import run as run_once
from memhorizon.figures import marks, registry, style
from memhorizon.figures.collapse import collapse
from memhorizon.figures.groups import groups
from memhorizon.figures.laws import laws
from memhorizon.figures.losses import losses
from memhorizon.figures.phase import phase
from memhorizon.figures.samples import samples
from memhorizon.figures.style import save, svg
from memhorizon.figures.timescales import timescales
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.records.files import record_of, to_plain
from memhorizon.records.reading import level_of
from memhorizon.records.sweep import DataFacts, RunRecord, SweepRecord
from memhorizon.results import Curve, Status, Time, Timescales
from memhorizon.samplers import SamplerConfig
from memhorizon.timescales.rules import Rules
from memhorizon.training import TrainConfig
from sweeps import THRESHOLD, make_runs

RULES = Rules(t=0.3, memorized=0.1)


def sweep(folder, **settings):
    runs = make_runs(folder, **settings)
    return record(runs, RULES, name="made"), runs


def changed(record, change):
    """The record after a change of what its file holds."""
    tree = json.loads(json.dumps(to_plain(record)))
    change(tree)
    return record_of(tree)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two n, two seeds, one run of four that never copies long enough: all that a plain sweep can show."""
    return sweep(tmp_path_factory.mktemp("made"), n_train=(8, 256), seeds=(0, 1), steps=1500, channels=3)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A grid of n and width, too many settings for one panel."""
    found = sweep(tmp_path_factory.mktemp("wide"), n_train=(8, 16, 32, 64), widths=(8, 32), steps=4000)[0]

    def cut_short(tree):
        late = next(r for r in tree["runs"] if (r["n_train"], r["factors"]["width"]) == (64, 8))
        late["timescales"]["tau_mem"].update(value=300.0, low=300.0, high="inf", status="not reached")

    return changed(found, cut_short)


def test_the_frame_of_the_timescales_is_the_record(made):
    rows = timescales(made[0]).frame()
    for run in made[0].runs:
        mine = [r for r in rows if (r["n_train"], r["seed"]) == (run.n_train, run.seed)]
        for name in ("memorized", "holdout@0.3"):
            points = [r for r in mine if r["quantity"] == name]
            for key in ("step", "value", "low", "high"):
                assert [p[key] for p in points] == getattr(run.curves[name], key).tolist()
        for name in ("tau_gen", "tau_mem"):
            (row,) = [r for r in mine if r["quantity"] == name]
            time = getattr(run.timescales, name)
            assert (row["value"], row["status"]) == (time.value, time.status)


def test_an_end_that_nothing_bounds_is_infinite_in_the_frame(made):
    late = [r for r in laws(made[0]).frame() if r.get("status") == "not reached"]
    assert late
    assert all(row["high"] == math.inf for row in late)


def test_collapse_divides_the_step_by_n(made):
    for row in collapse(made[0]).frame():
        assert row["rescaled"] * row["n_train"] == pytest.approx(row["step"], rel=1e-15)


def test_where_the_width_is_varied_time_is_counted_in_n_over_w(wide):
    for row in collapse(wide).frame():
        assert row["rescaled"] * row["n_train"] / row["width"] == pytest.approx(row["step"], rel=1e-12)


def test_the_frame_of_the_laws_has_the_exponents_of_the_record(wide):
    rows = laws(wide).frame()
    for name in ("tau_gen", "tau_mem"):
        for factor, e in wide.laws[name].exponents.items():
            (row,) = [r for r in rows if r["quantity"] == f"exponent of {name}" and r["factor"] == factor]
            assert (row["value"], row["low"], row["high"]) == (e.value, e.low, e.high)


def test_losses_hold_every_level(made):
    rows = losses(made[0]).frame()
    assert {row["t"] for row in rows} == {0.01, 0.1, 0.3, 1.0}
    gap = {(r["label"], r["seed"], r["t"], r["step"]): r["value"] for r in rows if r["quantity"] == "gap"}
    for run in made[0].runs:
        label = f"n = {run.n_train}"
        difference = run.curves["holdout@0.1"].value - run.curves["train@0.1"].value
        for step, value in zip(run.curves["gap@0.1"].step, difference, strict=True):
            assert gap[label, run.seed, 0.1, step] == pytest.approx(value, abs=1e-12)


def test_samples_are_the_closest_ones_and_copies_are_those_below_the_threshold(made):
    picture = samples(*made)
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


def one_run(**timescales):
    curve = Curve(np.array([1.0]), np.zeros(1), np.zeros(1), np.ones(1), "memorized", np.ones(1))
    run = RunRecord(
        key="a",
        n_train=8,
        seed=0,
        factors={"width": 16},
        config={},
        environment={},
        data=DataFacts(),
        curves={"memorized": curve},
        null=None,
        timescales=Timescales(**timescales),
    )
    return SweepRecord("made", "", RULES, (run,))


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
    times = [Time(float(v), 0.0, math.inf, Status(status), "made") for status, v in (gen, mem)]
    record = one_run(tau_gen=times[0], tau_mem=times[1])
    (counts,) = phase(record, multiples=(multiple,)).frame()
    assert {name: counts[name] for name in ("copied", "not copied", "censored")} == {
        name: int(name == state) for name in ("copied", "not copied", "censored")
    }


def test_every_figure_draws_without_a_warning_and_stays_small(made, wide, tmp_path):
    found = registry.of(*made) | {f"wide-{name}": figure for name, figure in registry.of(wide).items()}
    names = {"timescales", "collapse", "laws", "losses", "samples", "wide-timescales", "wide-phase"}
    assert names <= set(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, figure in found.items():
            save(figure.plot(), tmp_path / f"{name}.png")
            assert (tmp_path / f"{name}.png").stat().st_size < 100_000
            pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
            edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            assert edges.min() > 250, f"{name} runs over its edge"
    assert not list(tmp_path.glob("*.tmp"))


def test_the_same_record_gives_the_same_bytes_and_no_address_elsewhere(made, tmp_path):
    first, second = (svg(timescales(copy.deepcopy(made[0])).plot()) for _ in range(2))
    assert first == second
    save(timescales(made[0]).plot(), tmp_path / "timescales.svg")
    assert (tmp_path / "timescales.svg").read_text() == first
    assert "<dc:date>" not in first


def test_drawing_leaves_matplotlib_as_it_was(made):
    import matplotlib

    before = dict(matplotlib.rcParams)
    collapse(made[0]).plot()
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

    def two_rates(tree):
        for run in tree["runs"]:
            run["config"]["optimizer"]["lr"] = 0.1 if run["seed"] else 0.2

    labels = {group.label for group in groups(changed(made[0], two_rates))}
    assert labels == {f"n = {n}, learning rate = {lr}" for n in (8, 256) for lr in (0.1, 0.2)}


@pytest.mark.parametrize("record", [{"kind": "sweep", "runs": []}, [1, 2], None, "record.json"])
def test_what_is_no_sweep_is_refused(record):
    for figure in (timescales, collapse, laws, losses, phase):
        with pytest.raises(InputError, match="expected a SweepRecord"):
            figure(record)


def test_a_record_without_curves_of_both_times_says_so(made):
    def cut(tree):
        for run in tree["runs"]:
            run["curves"] = {"kernel": run["curves"]["gap@0.1"]}

    record = changed(made[0], cut)
    with pytest.raises(InputError, match="expected curves"):
        timescales(record).plot()
    with pytest.raises(InputError, match="memorized fraction"):
        collapse(record).plot()
    with pytest.raises(InputError, match="train@t"):
        losses(record)


def no_time(time, status="not measured"):
    time.update(value="nan", low=0.0, high="inf", status=status, rule="none")


@pytest.mark.parametrize("name", ["memorized", "holdout@0.3"])
def test_a_curve_that_was_not_measured_leaves_its_panel_and_its_times_empty(made, name):
    timescale = "tau_mem" if name == "memorized" else "tau_gen"

    def cut(tree):
        for run in tree["runs"]:
            del run["curves"][name]
            no_time(run["timescales"][timescale])

    picture = timescales(changed(made[0], cut))
    assert name not in {row["quantity"] for row in picture.frame()}
    texts = [text.get_text() for axes in picture.plot().axes for text in axes.texts]
    assert texts.count("not measured") == 1
    found = registry.of(changed(made[0], cut))
    assert ("collapse" in found) == (name != "memorized")
    found["laws"].plot()  # with the other time alone


def test_runs_without_a_time_are_left_out_of_the_laws(made, wide):
    def all_unknown(tree):
        for run in tree["runs"]:
            for name in ("tau_gen", "tau_mem"):
                no_time(run["timescales"][name], "still improving")

    unknown = changed(made[0], all_unknown)
    assert "laws" not in registry.of(unknown)
    with pytest.raises(InputError, match="times of at least one run"):
        laws(unknown).plot()
    one = changed(wide, lambda tree: no_time(tree["runs"][0]["timescales"]["tau_gen"], "trivial level"))
    laws(one).plot()
    rows = phase(one, multiples=(3.0,)).frame()
    assert [row["censored"] for row in rows].count(1) >= 1


def test_where_nothing_copies_null_and_interval_hide_no_curve(made):
    def nothing(tree):
        for run in tree["runs"]:
            curve = run["curves"]["memorized"]
            points = len(curve["step"])
            curve.update(value=[0.0] * points, low=[0.0] * points, high=[0.009] * points)
            last = curve["step"][-1]
            run["timescales"]["tau_mem"].update(value=last, low=last, high="inf", status="not reached")

    figure = timescales(changed(made[0], nothing)).plot()
    middle = figure.axes[1]
    curves = [line for line in middle.lines if line.get_marker() not in ("", "None")]
    others = [item for item in (*middle.lines, *middle.patches, *middle.collections) if item not in curves]
    assert len(curves) == 4
    assert max(item.get_zorder() for item in others) < min(line.get_zorder() for line in curves)
    assert middle.get_ylim()[1] >= 0.1  # the level of tau_mem: the interval is a tenth of the panel


def test_the_level_drawn_is_the_one_that_the_times_were_read_at(made):
    """1.05 times the worst of the best values; none where no time was read."""
    best = max(run.curves["holdout@0.3"].value.min() for run in made[0].runs)
    assert level_of(made[0]) == pytest.approx(1.05 * best, rel=1e-12)

    def unknown(tree):
        for run in tree["runs"]:
            no_time(run["timescales"]["tau_gen"])

    assert level_of(changed(made[0], unknown)) is None


def test_a_dollar_sign_in_a_name_begins_no_mathematics(made):
    def name(tree):
        for run in tree["runs"]:
            run["config"]["data"]["path"] = f"$\\no{run['seed']}"

    timescales(changed(made[0], name)).plot()


def test_bad_input_is_named(made, tmp_path):
    with pytest.raises(InputError, match=r"\.svg, \.pdf or \.png"):
        save(timescales(made[0]).plot(), tmp_path / "timescales.gif")
    with pytest.raises(InputError, match="run directories"):
        samples(made[0], [])
    with pytest.raises(InputError, match="multiples"):
        phase(made[0], multiples=(0.0,))
    with pytest.raises(InputError, match="width"):
        phase(changed(made[0], lambda tree: tree["runs"][0]["factors"].update(width=None)))
    with pytest.raises(InputError, match="SweepRecord"):
        registry.of([1, 2])


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
    found = registry.of(record([directory], Rules(t=0.3)), [directory])
    assert "samples" not in found
    assert "timescales" in found


def boxes_of(axis):
    """The places of the numbers on an axis, in pixels, from left to right; the figure has to be laid out."""
    labels = [label for label in axis.get_ticklabels() if label.get_visible() and label.get_text()]
    return sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)


@pytest.mark.parametrize("inches", [0.9, 1.4, 6.0])
@pytest.mark.parametrize("last", [21, 26, 45, 130, 600, 8_000, 3e5, 2e9])
def test_numbers_on_a_logarithmic_axis_do_not_overlap(inches, last):
    """However short the span and however narrow the panel, and there are two where they fit at all."""
    figure = style.canvas(width=inches, height=1.0)
    axes = figure.subplots()
    axes.set_yticks([])
    axes.plot([20, last], [0, 1])
    style.log_scale(axes.xaxis)
    figure.draw_without_rendering()
    boxes = boxes_of(axes.xaxis)
    assert len(boxes) >= (2 if inches > 1 else 1)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_numbers_below_the_losses_of_a_short_run_do_not_overlap(tmp_path):
    figure = losses(sweep(tmp_path, n_train=(8,), steps=26)[0]).plot()
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = boxes_of(axes.xaxis)
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_ticks_of_a_logarithmic_axis_are_round():
    assert style.round_numbers(0.5, 30.0, (1.0, 2.0, 5.0)) == [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    assert style.round_numbers(1.0, 1000.0, (1.0,)) == [1.0, 10.0, 100.0, 1000.0]
    assert style.round_numbers(0.0, 10.0, (1.0,)) == []


def test_an_arrow_of_tau_gen_is_told_from_one_of_tau_mem(made):
    """Their heads and markers differ in colour, form and filling, in every figure that has them."""
    gen = marks.TIMESCALES["tau_gen"]
    mem = marks.TIMESCALES["tau_mem"]
    assert gen.color != mem.color
    assert gen.marker != mem.marker
    assert (gen.face, mem.face) == ("white", mem.color)
    lanes = timescales(made[0]).plot().axes[2]
    drawn = {line.get_color() for line in lanes.lines if line.get_marker() == mem.marker}
    assert drawn == {mem.color}
