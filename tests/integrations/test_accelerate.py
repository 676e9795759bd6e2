"""A training with accelerate: one process, and two that are connected by gloo."""

import json

import pytest
import torch

import memhorizon as mh
from memhorizon.integrations import accelerated, on_step
from watched_training import Net, fair, loss_of, monitor, perfect, seen

accelerate = pytest.importorskip("accelerate")


@pytest.fixture(autouse=True)
def no_state_is_left():
    """What one Accelerator sets up holds for the whole process."""
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


def two_updates(accelerator, watched, steps):
    """Four micro-batches of which two make a step."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    model, optimizer = accelerator.prepare(model, optimizer)
    on_step(watched, optimizer, model)
    for _ in range(2 * steps):
        with accelerator.accumulate(model):
            accelerator.backward(loss_of(model))
            optimizer.step()
            optimizer.zero_grad()
    return model


def test_the_hook_counts_steps_not_micro_batches():
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    watched = monitor()
    steps = []
    watched.update = lambda step, _: steps.append(step)
    two_updates(accelerator, watched, 3)
    assert steps == [1, 2, 3]


def test_its_state_is_in_the_checkpoints_of_accelerate(tmp_path):
    """What is loaded sees from there on what the first one saw."""
    accelerator = accelerate.Accelerator(cpu=True)
    watched = accelerated(monitor(denoiser=fair), accelerator)
    model = accelerator.prepare(Net())
    for step in range(1, 8):
        watched.update(step, model)
    accelerator.save_state(str(tmp_path))
    other = accelerate.Accelerator(cpu=True)
    resumed = accelerated(monitor(denoiser=fair), other)
    other.prepare(Net())
    other.load_state(str(tmp_path))
    for both in (watched, resumed):
        both.update(9, model)
    assert len(watched.monitor.history) >= 3
    assert seen(resumed.monitor) == seen(watched.monitor)
    watched.finish(model)
    assert watched.monitor.best is not None


def test_all_stop_where_the_monitor_says_so():
    watched = accelerated(monitor(denoiser=perfect), accelerate.Accelerator(cpu=True))
    steps = iter(range(1, 1000))
    while not watched.should_stop:
        watched.update(next(steps), Net())
    assert watched.monitor.verdict.phase == "memorizing"


def of_two(folder):
    """One of two processes: which steps it looked at, and when it was told to stop."""
    torch.set_num_threads(1)
    accelerator = accelerate.Accelerator(cpu=True)
    rank = accelerator.process_index
    watched = accelerated(monitor(denoiser=perfect, root=f"{folder}/{rank}"), accelerator, sync_every=4)
    torch.manual_seed(0)
    model = Net()
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.05))
    step = 0
    while not watched.should_stop and step < 200:
        step += 1
        accelerator.backward(loss_of(model))
        optimizer.step()
        optimizer.zero_grad()
        watched.update(step, model)
    looks = [look.step for look in watched.monitor.history]
    total = float(sum(p.detach().double().sum() for p in model.parameters()))
    told = {"looks": looks, "stopped": step, "failures": watched.monitor.record().failures, "sum": total}
    (folder / f"{rank}.json").write_text(json.dumps(told))


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="needs gloo")
def test_of_two_processes_one_looks_and_both_stop_at_one_step(tmp_path):
    accelerate.debug_launcher(of_two, args=(tmp_path,), num_processes=2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert len(first["looks"]) >= 3
    assert second["looks"] == []
    assert first["failures"] == []
    assert first["stopped"] == second["stopped"] < 200
    assert first["stopped"] % 4 == 0
    assert first["sum"] == second["sum"]
    assert (tmp_path / "0" / "monitor.json").is_file()
    assert list((tmp_path / "1").iterdir()) == []


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_used_is_refused_by_name():
    with pytest.raises(mh.InputError, match="accelerator: expected an Accelerator, got object"):
        accelerated(monitor(), object())
    sharded = accelerate.Accelerator(cpu=True)
    sharded.state.distributed_type = accelerate.DistributedType.FSDP
    with pytest.raises(mh.InputError, match="accelerator: expected whole weights in each process"):
        accelerated(monitor(), sharded)
