"""What is given in place of a path, a configuration or a state is refused by the name of the argument."""

import jaxtyping
import numpy as np
import pytest
import torch

import memhorizon as mh
from memhorizon.distributions import Empirical
from memhorizon.records.files import write_record
from memhorizon.records.table import TableRecord

ITEMS = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
QUICK = mh.MeasureConfig(n_samples=0, repeats=1, diffusion_times=(0.1,))
TABLE = TableRecord("t", "", {}, {}, {}, ())
NOT_A_PATH = (None, 5, "", "a\0b")


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """As users have it: without the checker of annotations, which runs in tests only."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def sweep(tmp_path):
    writer = mh.RunWriter(tmp_path / "run", ITEMS, settings=QUICK)
    writer.observe(5, mh.Denoiser.exact(Empirical(ITEMS)))
    return mh.Sweep.of(writer.run.path)


@pytest.mark.parametrize("path", NOT_A_PATH)
def test_no_path(sweep, path):
    for call in (mh.load_record, lambda bad: write_record(TABLE, bad), sweep.report):
        with pytest.raises(mh.InputError, match="^path: expected a path, got"):
            call(path)


@pytest.mark.parametrize("root", NOT_A_PATH)
def test_no_place_for_runs(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (mh.run, lambda config, root: mh.sweep([config], root=root)):
        with pytest.raises(mh.InputError, match="^root: expected a path, got"):
            call(mh.Config(), root=root)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "place", ["/proc/no/x.html", "/dev/null/x.html", "{file}/x.html", "{root}/" + "x" * 400]
)
def test_a_path_where_no_file_can_be(sweep, tmp_path, place):
    (tmp_path / "file").write_text("precious")
    path = place.format(file=tmp_path / "file", root=tmp_path)
    for call in (lambda: write_record(TABLE, path), lambda: sweep.report(path)):
        with pytest.raises(mh.InputError, match="^path: cannot write '") as raised:
            call()
        assert ".tmp" not in str(raised.value)
    assert (tmp_path / "file").read_text() == "precious"
    assert not list(tmp_path.glob(".*"))


def test_a_folder_in_place_of_a_record(tmp_path):
    with pytest.raises(mh.InputError, match="^path: expected a file to write, got a folder"):
        write_record(TABLE, tmp_path)
    with pytest.raises(mh.InputError, match="^path: cannot read"):
        mh.load_record(tmp_path)


@pytest.mark.parametrize("wrong", [None, 5, 1.5])
def test_no_place_of_runs(wrong):
    with pytest.raises(mh.InputError, match="^places: expected a path or several, got"):
        mh.Sweep.of(wrong)


@pytest.mark.parametrize("wrong", [5, "holdout", mh.Config()])
def test_no_rules(sweep, wrong):
    for call in (sweep.record, sweep.timescales, sweep.frame):
        with pytest.raises(mh.InputError, match="^rules: expected a Rules, got"):
            call(wrong)


@pytest.mark.parametrize("wrong", [5, "local", mh.Local])
def test_no_executor(tmp_path, wrong):
    with pytest.raises(mh.InputError, match="^executor: expected one such as"):
        mh.sweep([mh.Config()], root=tmp_path, executor=wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [None, 5, [1, 2], mh.Config])
def test_no_configuration_and_no_state(wrong):
    options = {"schedule": mh.Schedule.linear(), "config": mh.TrainConfig(), "seed": 0}
    state = mh.TrainState.new(mh.MLPConfig(width=8).build((2,), seed=0), mh.OptimizerConfig())
    calls = {
        "base": lambda: mh.grid(wrong, seed=(0,)),
        "config": lambda: mh.load_split(wrong),
        "state": lambda: mh.train(wrong, ITEMS, **options),
        "schedule": lambda: mh.train(state, ITEMS, **{**options, "schedule": wrong}),
        "model": lambda: mh.TrainState.new(wrong, mh.OptimizerConfig()),
        "optimizer": lambda: mh.TrainState.new(mh.MLPConfig(width=8).build((2,), seed=0), wrong),
    }
    for name, call in calls.items():
        with pytest.raises(mh.InputError, match=f"^{name}: expected a"):
            call()


def test_numbers_of_numpy_are_steps_and_those_that_no_record_holds_are_none(tmp_path):
    writer = mh.RunWriter(tmp_path / "run", ITEMS, settings=QUICK)
    denoiser = mh.Denoiser.exact(Empirical(ITEMS))
    writer.observe(np.int64(10), denoiser)
    for step in (2**70, 10.5, torch.tensor(11)):
        with pytest.raises(mh.InputError, match="^step: "):
            writer.observe(step, denoiser)
    writer.observe(np.int32(20), denoiser)
    assert writer.steps == [10, 20]


@pytest.mark.parametrize("value", [torch.tensor(0.1), 1.5e300, float("nan"), True])
def test_a_factor_that_no_record_holds_is_refused_at_the_start(tmp_path, value):
    with pytest.raises(mh.InputError, match="^factors: expected a finite number or a text for 'lr'"):
        mh.RunWriter(tmp_path / "run", ITEMS, factors={"lr": value})
