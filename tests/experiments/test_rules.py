"""Rules belong to a record: what cannot be a rule is refused, and a folder's own rules are found again."""

from dataclasses import replace

import pytest

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.record import record
from memhorizon.experiments.rules import check_rules, rules_of
from memhorizon.experiments.run import run
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.records.files import write_record
from memhorizon.samplers import SamplerConfig
from memhorizon.timescales.rules import Rules
from memhorizon.training import TrainConfig
from sweeps import make_runs

GOOD = {"quality": "kl", "t": None, "tolerance": 1.0, "memorized": 0.2}


def test_the_rules_of_a_folder_are_those_of_its_record_or_of_the_one_above(tmp_path):
    run = tmp_path / "demo" / "run"
    run.mkdir(parents=True)
    assert rules_of(run) is None
    made = record(make_runs(tmp_path / "runs", n_train=(8,)))
    write_record(replace(made, rules=Rules(**GOOD)), tmp_path / "demo" / "record.json")
    assert rules_of(run) == rules_of(tmp_path / "demo") == Rules(**GOOD)
    other = Rules(**{**GOOD, "memorized": 0.5})
    write_record(replace(made, rules=other), run / "record.json")
    assert rules_of(str(run)) == other


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, '{"rules": {"quality": 3}}', "\xff"])
def test_a_record_whose_rules_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "record.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="path|record|file"):
        rules_of(tmp_path)


def planned(name="mixture", n_holdout=16, n_samples=10, t=None):
    return Config(
        data=DataConfig(name=name, n_train=4, n_holdout=n_holdout),
        model=MLPConfig(width=4, blocks=1),
        train=TrainConfig(n_updates=1, diffusion_time=t),
        measure=MeasureConfig(
            1,
            1,
            n_samples,
            sampler=SamplerConfig(n_solver_steps=1),
            diffusion_times=(0.01, 0.3),
            repeats=1,
            keep=False,
        ),
    )


@pytest.mark.parametrize(
    ("config", "rules", "message"),
    [
        (planned("digits"), Rules("kl", None), "rules.quality: kl needs data whose distribution"),
        (
            planned("digits"),
            Rules("score_error", 0.3),
            "rules.quality: score_error needs data whose distribution",
        ),
        (planned(n_samples=6), Rules("kl", None), "rules.quality: kl needs measure.n_samples"),
        (planned(n_samples=1), Rules("frechet", None), "rules.quality: frechet needs measure.n_samples"),
        (planned(n_holdout=1), Rules("frechet", None), "rules.quality: frechet needs data.n_holdout"),
        (planned(n_holdout=0), Rules(t=0.3), "rules.quality: holdout needs data.n_holdout"),
        (planned(), Rules(t=0.2), r"rules.t: expected a time that is measured \(0.01, 0.3\), got 0.2"),
        (planned(), Rules("score_error"), "rules.t: expected a time that is measured"),
        (planned(t=0.5), Rules(t=0.3), r"rules.t: expected a time that is measured \(0.5\)"),
    ],
)
def test_rules_of_a_curve_that_will_not_be_measured_are_refused(config, rules, message):
    with pytest.raises(InputError, match=message):
        check_rules([config], rules)
    whole = Config(data=DataConfig(name="mixture"), measure=MeasureConfig(diffusion_times=(0.1, 0.2, 0.3)))
    check_rules([whole], rules)
    with pytest.raises(InputError, match=config.key):
        check_rules([whole, config], rules)


def test_a_quality_that_no_planned_run_measures_is_refused():
    with pytest.raises(InputError, match="rules.quality: fid needs to be measured by a function of yours"):
        check_rules([planned()], Rules("fid"))


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        (planned(n_holdout=0, n_samples=0), None),
        (planned(n_holdout=0, n_samples=0), Rules(tolerance=0.5)),  # as without: read from what is there
        (planned(n_holdout=1), Rules(t=0.3)),
        (planned(), Rules(t=0.3000001)),  # its curve has the name of 0.3
        (planned(t=0.5), Rules("score_error", 0.5)),
        (planned(n_holdout=2, n_samples=2), Rules("frechet", None)),
        (planned("gaussian", n_samples=7), Rules("kl", None)),
    ],
)
def test_rules_of_a_curve_that_will_be_measured_are_taken(config, rules):
    check_rules([config], rules)


@pytest.mark.parametrize(
    "config",
    [
        planned(n_samples=7),
        planned("gaussian", n_samples=6),
        planned("digits", n_holdout=2, n_samples=2),
        planned(n_holdout=1, n_samples=2),
        planned(n_holdout=0, n_samples=0, t=0.3),
    ],
)
def test_what_is_refused_before_a_run_is_what_its_record_would_refuse(config, tmp_path):
    done = [run(config, root=tmp_path, device="cpu")]
    every = [Rules(), Rules("frechet", None), Rules("kl", None), *(Rules(t=t) for t in (0.01, 0.2, 0.3))]
    for rules in [*every, Rules("score_error", 0.3), Rules("score_error")]:
        assert refused(check_rules, [config], rules) == refused(record, done, rules), rules


def refused(function, *arguments):
    try:
        function(*arguments)
    except InputError:
        return True
    return False
