"""The recipe monitor_rules: its tiny twin, and its rules on curves whose answer is known."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from evidence_records import read
from memhorizon import recipes
from memhorizon.experiments.executors import Inline
from memhorizon.monitor.monitor import Monitor
from memhorizon.recipes.monitor_rules import rules
from memhorizon.recipes.monitor_rules.numbers import (
    KINDS,
    RuleRow,
    SummaryRow,
    TrainingRow,
    first_below,
    levels_of,
    rows_of,
)
from memhorizon.recipes.monitor_rules.seen import Checked, Run, Snapshot, Watched
from memhorizon.recipes.monitor_rules.suite import Training, trainings
from memhorizon.recipes.monitor_rules.watchers import Timer, Watcher
from memhorizon.recipes.monitor_rules.watching import marks_of
from memhorizon.recipes.parts import Done
from memhorizon.recipes.tables import of_kind, typed_rows
from memhorizon.records.files import load_record

PAGE = (Path(__file__).parents[2] / "docs" / "evidence" / "monitor_rules.md").read_text()
TRAINING = Training("mixture", 16, 3200, width=16)
STEPS = (100, 200, 400, 800, 1600, 3200)


def shot(step, holdout, *, gap=0.0, rank=10.0, frechet=1.0, copies=0):
    return Snapshot(step, 0.1, holdout, gap, 0.1, holdout, rank, frechet, copies, 100)


def run(holdout, *, copies=(0, 0, 0, 0, 10, 50), gaps=(0, 0, 0.3, 0.3, 0.9, 0.9), watched=(), dvar=-1):
    rank = (10, 10, 9.6, 9.4, 9, 8)
    frechet = (9, 8, 7, 6, 5, 4)
    shots = [
        shot(step, loss, gap=gap, rank=r, frechet=f, copies=c)
        for step, loss, gap, r, f, c in zip(STEPS, holdout, gaps, rank, frechet, copies, strict=True)
    ]
    return Run(tuple(shots), dvar, 0.0, tuple(watched), 1.0)


CURVE = (0.9, 0.6, 0.4, 0.5, 0.45, 0.6)


@pytest.mark.parametrize(
    ("rule", "stop", "ships"),
    [
        ("held-out minimum", 400, 400),
        ("early stopping", 3200, 400),  # 800, 1600 and 3200 are above it
        ("loss gap", 800, 800),  # 3 errors at 400 and at 800
        ("stable rank", 800, 800),  # 9.4 is the first below 9.5
        ("Frechet distance", 3200, 3200),
        ("100 steps per image", 1600, 1600),
        ("2,000 steps", 1600, 1600),  # the last snapshot up to there
        ("DVAR", 3200, 3200),  # never
    ],
)
def test_each_rule_on_a_curve_whose_answer_is_known(rule, stop, ships):
    choice = rules.RULES[rule](TRAINING, run(CURVE))
    assert (choice.stop.step, choice.ships.step) == (stop, ships)


def test_every_rule_is_named_in_the_table():
    assert all(f"| {name} |" in (rules.__doc__ or "") for name in rules.RULES)


def test_tau_gen_is_where_the_loss_is_first_at_the_level():
    shots = run(CURVE).snapshots
    assert first_below(shots, 0.9) == 100
    # from 0.6 to 0.4 half way at 0.5: the geometric mean of the steps
    assert math.isclose(first_below(shots, 0.5), math.sqrt(200 * 400))
    assert first_below(shots, 0.3) == math.inf


def test_a_level_is_that_which_all_trainings_of_a_kind_reach():
    other = Training("mixture", 32, 3200, width=16)
    levels = levels_of({TRAINING: run(CURVE), other: run([2 * x for x in CURVE])})
    assert levels == {("mixture", "noise"): pytest.approx(1.05 * 0.8)}


def watched(stop, best, upper):
    return Watched(0.05, True, "copies", stop, best, upper, 9, 5, 1, 0.05, 0.04)


@pytest.mark.parametrize(
    ("stop", "best", "upper", "met"),
    [
        (Checked(800, 10, 1000, 0.5), Checked(400, 5, 1000, 0.41), 0.0099, (True, True, True, True)),
        (Checked(800, 21, 1000, 0.5), Checked(400, 5, 1000, 0.41), 0.0099, (True, False, True, True)),
        (Checked(200, 10, 1000, 0.5), Checked(400, 5, 1000, 0.43), 0.0099, (False, True, False, True)),
        (Checked(800, 10, 1000, 0.5), Checked(400, 12, 1000, 0.41), 0.0099, (True, True, True, False)),
        (Checked(800, 10, 1000, 0.5), None, 1.0, (True, True, False, False)),
    ],
)
def test_the_four_demands(stop, best, upper, met):
    rows = rows_of([TRAINING], [Done(run(CURVE, watched=[watched(stop, best, upper)]), 1.0, {})])
    row = next(row for row in of_kind(rows, RuleRow) if row.rule.startswith("monitor"))
    assert (row.after_tau_gen, row.few_copies, row.near_best, row.certified) == met
    every = next(row for row in of_kind(rows, SummaryRow) if row.rule.startswith("monitor"))
    assert every.every.count == all(met)


def test_no_other_rule_gives_a_certificate():
    rows = rows_of([TRAINING], [Done(run(CURVE), 1.0, {})])
    assert not any(row.certified for row in of_kind(rows, RuleRow))
    minimum = next(row for row in of_kind(rows, RuleRow) if row.rule == "held-out minimum")
    assert minimum.near_best
    assert minimum.few_copies


def test_trainings_are_many_and_of_several_kinds():
    every = trainings("here")
    assert len(every) >= 20
    assert len({training.name for training in every}) == len(every)
    assert {training.data for training in every} == {"digits", "fashion", "mixture"}
    assert {training.prediction for training in every} == {"noise", "v", "velocity"}
    assert len({training.optimizer for training in every}) == 3
    assert {training.n_train for training in every} == {16, 32, 64, 128}
    assert {training.width for training in every} == {8, 16, 64, 128, 256}
    assert all(2000 in marks_of(one) for one in every if one.n_updates > 2000)


class CertifiesAnother(Monitor):
    """A monitor that says stop at its best checkpoint, and in `finish` certifies an earlier one."""

    should_stop = True
    overhead = 0.04
    best = SimpleNamespace(step=8)

    def __init__(self):
        self._keeper = SimpleNamespace(
            candidate_weights=lambda step: {"weight": torch.full((1, 1), step * 1.0)}
        )

    def update(self, step, network):
        return "stop"

    def finish(self, network):
        self.best = SimpleNamespace(step=4)


def test_weights_of_the_stop_are_kept_beside_those_of_a_best_checkpoint_from_before():
    network = torch.nn.Linear(1, 1, bias=False, device="meta")
    network.weight = torch.nn.Parameter(torch.full((1, 1), 8.0))
    watcher = Watcher(CertifiesAnother(), Timer())
    watcher.update(8, network)
    assert (watcher.stop_step, watcher.best_step) == (8, 4)
    assert {step: weights["weight"].item() for step, weights in watcher.weights.items()} == {4: 4.0, 8: 8.0}


def test_the_tiny_twin_gives_a_record_and_a_picture(tmp_path):
    recipe = recipes.load("monitor_rules")
    record = load_record(recipe.run(tmp_path, "tiny", root=tmp_path / "runs", executor=Inline()))
    rows = typed_rows(record.rows, KINDS)
    assert len(of_kind(rows, SummaryRow)) == 2 + len(rules.RULES)
    picture = recipe.figures["stops"](record)
    assert picture.frame()
    assert picture.plot() is not None


def test_the_page_has_the_table_of_the_record():
    block = PAGE.split("<!-- RULES -->")[1].split("<!-- end -->")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
    told = {row[0].split(" ([")[0]: row[1:] for row in cells if len(row) > 1 and "record" in row[0]}
    told.pop("rule", None)
    rows = of_kind(typed_rows(read("monitor_rules").rows, KINDS), SummaryRow)
    assert set(told) == {row.rule for row in rows}
    for row in rows:
        demands = (row.after_tau_gen, row.few_copies, row.near_best, row.certified, row.every)
        assert told[row.rule] == [f"{demand.count} of {demand.total}" for demand in demands]


def test_every_certificate_of_the_record_holds():
    """5,000 fresh samples at each certified checkpoint: no share above its limit."""
    rows = of_kind(typed_rows(read("monitor_rules").rows, KINDS), SummaryRow)
    held = [row.holds for row in rows if row.holds is not None]
    assert held
    assert all(one.count == one.total for one in held)


def test_the_committed_record_is_of_the_trainings_of_the_recipe():
    rows = of_kind(typed_rows(read("monitor_rules").rows, KINDS), TrainingRow)
    assert [row.training for row in rows] == [training.name for training in trainings("here")]


def test_the_committed_rules_follow_from_the_committed_curves():
    """Of those rules whose signal the record holds: the held-out loss and the steps."""
    rows = typed_rows(read("monitor_rules").rows, KINDS)
    told = {(row.training, row.rule): (row.stop, row.ships) for row in of_kind(rows, RuleRow)}
    known = {row.training: row for row in of_kind(rows, TrainingRow)}
    for training in trainings("here"):
        row = known[training.name]
        shots = tuple(shot(*one) for one in zip(row.step, row.holdout.tolist(), strict=True))
        curve = Run(shots, -1, row.null, (), row.seconds)
        for name in ("held-out minimum", "early stopping", "100 steps per image", "2,000 steps"):
            choice = rules.RULES[name](training, curve)
            assert told[training.name, name] == (choice.stop.step, choice.ships.step)
