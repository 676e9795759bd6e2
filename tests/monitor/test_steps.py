"""What a training tells its monitor: steps that are none, or fall, end nothing."""

import pytest
import torch

import memhorizon as mh
from watched_training import monitor, network


def told(watch, *steps):
    return [watch.update(step, network()) for step in steps]


@pytest.mark.parametrize("step", ["5", None, float("nan"), float("inf"), 2.5, -1, 10**30, [3]])
def test_what_is_no_step_is_warned_of_once_and_passed_over(step):
    watch = monitor()
    with pytest.warns(UserWarning, match="step: expected the number of updates") as caught:
        assert told(watch, step, step) == [None, None]
    assert watch.certify(step, network()) is None
    assert len(caught) == 1
    assert watch.update(5, network()) is not None
    assert len(watch.record().failures) == 1


@pytest.mark.parametrize("step", [torch.tensor(5), 5.0])
def test_whole_numbers_of_other_types_are_steps(step):
    watch = monitor()
    watch.update(step, network())
    assert [look.step for look in watch.history] == [5]


def test_steps_that_fall_are_warned_of_with_both():
    watch = monitor()
    watch.update(10**9, network())
    with pytest.warns(UserWarning, match="step 51 came after step 1,000,000,000") as caught:
        told(watch, 51, 52, 40, 41)
    assert len(caught) == 1


def test_a_checkpoint_before_the_last_look_is_not_certified():
    watch = monitor()
    watch.update(100, network())
    with pytest.warns(UserWarning, match="step 50 came after"):
        watch.update(50, network())
    with pytest.warns(UserWarning, match="step 50 lies before the last look, at step 100"):
        assert watch.certify(50, network()) is None
    assert len(watch.history) == 1


def test_a_record_with_the_largest_numbers_can_be_read(tmp_path):
    from memhorizon.records.files import load_record

    watch = monitor(root=tmp_path, seed=2**63 - 1)
    watch.update(2**63 - 1, network())
    record = load_record(tmp_path / "monitor.json")
    assert isinstance(record, mh.records.monitor.MonitorRecord)
    assert record.looks[0].step == record.seed == 2**63 - 1
