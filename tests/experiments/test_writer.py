"""A run directory written from a training loop of one's own holds what a run of the package holds."""

import json
from dataclasses import replace

import pytest
import torch

import memhorizon as mh
from memhorizon.distributions import Empirical
from memhorizon.experiments.locks import held
from memhorizon.experiments.rows import reference_of
from memhorizon.experiments.run import measure
from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.groups import groups
from memhorizon.measure.quality import frechet_distance
from memhorizon.report import report, sentence

SETTINGS = mh.MeasureConfig(
    snapshots=3,
    first=2,
    n_samples=6,
    sampler=mh.SamplerConfig(n_solver_steps=2),
    diffusion_times=(0.1,),
    repeats=1,
)
CONFIG = mh.Config(
    data=mh.DataConfig(name="mixture", n_train=8, n_holdout=16),
    model=mh.MLPConfig(width=8, blocks=1),
    train=mh.TrainConfig(n_updates=6, batch_size=4),
    measure=SETTINGS,
)


def items(n, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def memorizer(train, blur=0.0):
    """A denoiser that knows the training items; with blur it is that of items that are moved."""
    return mh.Denoiser.exact(Empirical(train + blur * items(len(train), 9)))


def write(path, n=8, steps=(10, 100), **options):
    train = items(n)
    writer = mh.RunWriter(path, train, items(6, 1), settings=SETTINGS, **options)
    for step in steps:
        writer.observe(step, memorizer(train, 1 / step))
    return writer


def test_the_rows_are_those_of_a_run_of_the_package(tmp_path):
    """The same training by hand: bytes of the measures and tensors of the samples are the same."""
    whole = mh.run(CONFIG, root=tmp_path / "runs")
    split = mh.load_split(CONFIG.data)
    schedule = CONFIG.schedule.build()
    state = mh.TrainState.new(CONFIG.model.build(split.item_shape, seed=0), CONFIG.optimizer)
    writer = mh.RunWriter(tmp_path / "own", reference_of(split), settings=SETTINGS)
    for step in mh.train(state, split.train, schedule=schedule, config=CONFIG.train, seed=0):
        if step.step in SETTINGS.marks(6):
            writer.observe(step.step, state.model, schedule=schedule)
    assert writer.steps == [2, 3, 6]
    assert (writer.run.path / "measures.jsonl").read_bytes() == (whole.path / "measures.jsonl").read_bytes()
    for step in writer.steps:
        tensors = whole.read_samples(step)
        assert all(torch.equal(tensors[name], t) for name, t in writer.run.read_samples(step).items())


def test_the_same_call_goes_on(tmp_path):
    whole = write(tmp_path / "whole", steps=(1, 10, 100))
    write(tmp_path / "cut", steps=(1, 10))
    with (tmp_path / "cut" / "measures.jsonl").open("a") as file:
        file.write('{"step": 100, "measure": "tr')  # a killed process leaves it
    again = write(tmp_path / "cut", steps=())
    assert again.steps == [1, 10]
    assert again.observe(10, memorizer(items(8))) is None  # seen before
    assert again.observe(100, memorizer(items(8), 1 / 100)) is not None
    assert again.run.measures() == whole.run.measures()


def test_a_checkpoint_before_the_last_observation(tmp_path):
    writer = write(tmp_path / "run", steps=(1, 10, 100))
    with pytest.raises(mh.InputError, match=r"step: expected more than 100, .*rewind\(50\)"):
        writer.observe(50, memorizer(items(8)))
    writer.rewind(10)
    assert writer.last_step == 10
    assert writer.observe(50, memorizer(items(8))) is not None
    assert writer.run.sample_steps() == [1, 10, 50]


def test_a_path_belongs_to_one_run(tmp_path):
    write(tmp_path / "run", seed=1, factors={"lr": 0.1})
    for options, said in (
        ({"seed": 2, "factors": {"lr": 0.1}}, "seed: 1, not 2"),
        ({"seed": 1, "factors": {"lr": 0.2}}, "optimizer.lr: 0.1, not 0.2"),
        ({"seed": 1, "factors": {"lr": 0.1}, "config": {"net": "mine"}}, "config.net: None, not 'mine'"),
        ({"seed": 1, "factors": {"lr": 0.1}, "n": 9}, "data.fingerprint"),
        (
            {
                "seed": 1,
                "factors": {"lr": 0.1},
                "qualities": {"mean": lambda samples, _: float(samples.mean())},
            },
            r"measure.qualities: \[\], not \['mean'\]",
        ),
    ):
        with pytest.raises(mh.InputError, match=f"^path: .* holds another run .*{said}"):
            write(tmp_path / "run", steps=(), **options)
    trained = mh.run(replace(CONFIG, measure=replace(SETTINGS, n_samples=0)), root=tmp_path / "runs")
    with pytest.raises(mh.InputError, match="one that memhorizon trained"):
        mh.RunWriter(trained.path, items(8))
    write(tmp_path / "run", steps=(), seed=1, factors={"lr": 0.1}, n_updates=500)  # it may train longer
    assert RunDir(tmp_path / "run").about.n_updates == 500


def test_runs_of_ones_own_have_timescales_and_laws(tmp_path):
    """Networks that reach the training items within 1/step: f_mem rises; runs compare by their factors."""
    for n in (4, 8):
        for lr in (0.1, 0.2):
            write(tmp_path / f"n{n}-lr{lr}", n=n, steps=(1, 10, 100), factors={"lr": lr, "batch_size": 4})
    write(tmp_path / "other", factors={"lr": 0.1, "batch_size": 4}, config={"net": "another"})
    made = mh.Sweep.of(tmp_path).record()
    assert {run.n_train for run in made.runs} == {4, 8}
    assert len(made.runs) == 4
    assert [run.key for other in made.others for run in other.runs] == ["other"]
    assert made.others[0].differs == {"config.net": "another"}
    assert set(made.laws["tau_mem"].exponents) == {"n_train", "lr"}
    assert {run.factors["lr"] for run in made.runs} == {0.1, 0.2}
    assert made.left_out == ()
    again = write(tmp_path / "copy", n=4, steps=(1,), factors={"lr": 0.1, "batch_size": 4})
    assert mh.Sweep.of(tmp_path).record().left_out[0].key == again.run.path.name  # one training counts once


def test_the_items_are_no_setting_of_a_sweep(tmp_path):
    """Each n, and each seed here, has items of its own: a page tells its runs apart by n and seed alone."""
    for n in (4, 8):
        for seed in (0, 1):
            train = items(n, seed)
            writer = mh.RunWriter(tmp_path / f"{n}-{seed}", train, items(6, 9), settings=SETTINGS, seed=seed)
            for step in (1, 10, 100):
                writer.observe(step, memorizer(train, 1 / step))
    sweep = mh.Sweep.of(tmp_path)
    made = sweep.record()
    assert made.others == made.left_out == ()
    assert [(group.label, len(group.runs)) for group in groups(made)] == [("n = 4", 2), ("n = 8", 2)]
    page = report(made, sweep.runs)
    for run in made.runs:
        assert run.data.fingerprint.startswith("sha256:")
        assert run.data.fingerprint[:15] not in page.split("Configuration of the first run")[0]


def test_a_quality_of_ones_own_is_a_curve_and_a_rule(tmp_path):
    def spread(samples, holdout):
        return float((samples.std() - holdout.std()).abs()) + 0.1

    write(tmp_path / "run", steps=(1, 10, 100), qualities={"spread": spread})
    sweep = mh.Sweep.of(tmp_path / "run")
    (run,) = sweep.record(mh.Rules(quality="spread")).runs
    assert len(run.curves["spread"].value) == 3
    assert run.timescales.tau_gen.known
    with pytest.raises(mh.InputError, match="no curve 'fid'"):
        sweep.record(mh.Rules(quality="fid"))


def test_what_only_its_training_loop_can_do_is_said(tmp_path):
    writer = write(tmp_path / "run")
    with pytest.raises(mh.InputError, match="got one that RunWriter wrote"):
        list(measure(writer.run))
    writer.finish()
    assert writer.run.done
    assert repr(mh.Sweep.of(tmp_path)) == f"Sweep({tmp_path.name}: 1 run, 1 done)"
    with pytest.raises(mh.InputError, match=r"is finished, got 1000; rewind\(100\) lets it be trained on"):
        writer.observe(1000, memorizer(items(8)))
    writer.rewind(10)  # and it goes on
    assert not writer.run.done


def test_a_folder_of_runs_is_not_made_a_run(tmp_path):
    write(tmp_path / "one")
    write(tmp_path / "two", n=7)
    with pytest.raises(mh.InputError, match="expected the directory of one run"):
        write(tmp_path)
    assert len(mh.Sweep.of(tmp_path).runs) == 2


def test_a_quality_whose_best_value_is_not_above_zero_gives_no_level(tmp_path):
    for n in (7, 8):
        write(tmp_path / str(n), n=n, qualities={"score": lambda samples, holdout: -3.0})
    made = mh.Sweep.of(tmp_path).record(mh.Rules(quality="score", t=None))
    assert "score has no best value above 0, to which a level could be relative" in sentence(made)
    assert "was not measured" not in sentence(made)


def test_marks_end_with_the_training():
    assert SETTINGS.marks(1) == [1]
    assert mh.MeasureConfig(first=5).marks(3) == [3]
    with pytest.raises(mh.InputError, match="n_updates: "):
        SETTINGS.marks(0)


def test_two_writers_do_not_mix(tmp_path, monkeypatch):
    monkeypatch.setattr("memhorizon.experiments.run_directory.LOCK_TRIES", 0)
    writer = write(tmp_path / "run")
    with held(writer.run.path, tries=0), pytest.raises(mh.InputError, match="being written"):
        writer.observe(1000, memorizer(items(8)))


def test_a_step_that_another_writer_observed_while_this_one_waited_is_not_written_twice(
    tmp_path, monkeypatch
):
    """As in two processes of one training, each with a writer of its own."""
    first, second = write(tmp_path / "run"), write(tmp_path / "run")
    locked = type(second.run).locked

    def after_the_other(self):
        monkeypatch.setattr(type(second.run), "locked", locked)
        first.observe(1000, memorizer(items(8)))  # it comes first, after the second one has been called
        return locked(self)

    monkeypatch.setattr(type(second.run), "locked", after_the_other)
    assert second.observe(1000, memorizer(items(8))) is None
    steps = [row["step"] for row in second.run.measures() if row["measure"] == "memorized"]
    assert steps.count(1000) == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"factors": {"n_train": 4}}, "factors"),
        ({"factors": {"lr": True}}, "factors"),
        ({"factors": {"lr": float("nan")}}, "factors"),
        ({"factors": {"lr": float("inf")}}, "factors"),
        ({"factors": {"key": 1}}, "factors"),
        ({"factors": {"tau_gen": 1}}, "factors"),
        ({"factors": {"tau_mem_status": "late"}}, "factors"),
        ({"factors": {"width": 2**70}}, "factors: width"),
        ({"seed": -1}, "seed"),
        ({"n_updates": -1}, "n_updates"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(tmp_path, options, name):
    with pytest.raises(mh.InputError, match=f"^{name}: expected"):
        mh.RunWriter(tmp_path / "run", items(8), **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("path", ["/proc/run", "/dev/null/run", "a\0b", "x" * 5000])
def test_a_path_where_no_folder_can_be_is_refused_by_name(path):
    with pytest.raises(mh.InputError, match="^path: "):
        mh.RunWriter(path, items(8))


def test_a_damaged_file_is_named(tmp_path):
    writer = write(tmp_path / "run")
    path = writer.run.path / "config.json"
    tree = json.loads(path.read_text())
    for name, value in (("version", 3), ("seed", "one"), ("colour", 1)):
        path.write_text(json.dumps({**tree, name: value}))
        with pytest.raises(mh.InputError, match=f"config.json: .*{name}"):
            _ = writer.run.about


def test_a_run_of_older_code_names_no_qualities_and_goes_on(tmp_path):
    """Which qualities it has is known from then on; runs of a sweep may have different ones."""
    path = write(tmp_path / "run", steps=(1,)).run.path / "config.json"
    tree = json.loads(path.read_text())
    assert tree.pop("qualities") == []
    path.write_text(json.dumps(tree))
    quality = {"mean": lambda samples, _: float(samples.mean())}
    write(tmp_path / "run", steps=(10, 100), qualities=quality)
    assert json.loads(path.read_text())["qualities"] == ["mean"]
    write(tmp_path / "other", n=4, steps=(1, 10, 100))
    assert len(mh.Sweep.of(tmp_path).record().runs) == 2


def test_what_limits_a_distance_reaches_the_page(tmp_path):
    """Six samples are too few for an error: no time can be read, and the page says why."""
    distance = {"fid": frechet_distance}
    write(tmp_path / "run", steps=(1, 10, 100), qualities=distance)
    for quality in ("frechet", "fid"):
        made = mh.Sweep.of(tmp_path).record(mh.Rules(quality=quality, t=None))
        (run,) = made.runs
        assert run.notes[quality] == "no error: fewer than 40 items"
        assert run.timescales.tau_gen.status is mh.Status.NOT_MEASURED
        assert "no error: fewer than 40 items" in run.timescales.tau_gen.rule
        shown = report(made)
        assert "<li>not measured: no quality with its error was measured" in shown
        assert shown.count("no error: fewer than 40 items") == 2  # before the numbers, and below the times
