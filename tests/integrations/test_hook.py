import pytest
import torch

import memhorizon as mh
from memhorizon.integrations import on_step
from watched_training import Net, denoiser, loss_of, monitor, seen, trained


def test_it_sees_what_a_call_after_each_step_sees_and_the_training_does_not_notice():
    by_hand = monitor()
    plain = trained(after=by_hand.update)
    hooked = monitor()
    watched = trained(before=lambda optimizer, model: on_step(hooked, optimizer, model))
    alone = trained()
    assert len(hooked.history) >= 4
    assert seen(hooked) == seen(by_hand)
    for model in (plain, watched):
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), alone.parameters(), strict=True))


def test_at_the_end_it_certifies_the_best_checkpoint_and_puts_the_weights_back():
    """A training that is still learning has no candidate for a certificate on the way."""
    watched = monitor(target=0.3)
    hooks = []
    model = trained(before=lambda optimizer, model: hooks.append(on_step(watched, optimizer, model)))
    before = [weight.clone() for weight in model.parameters()]
    hooks[0].finish()
    assert watched.best is not None
    assert watched.best.certificate.upper <= 0.3
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert watched.record().failures == ()


def test_it_follows_one_optimizer_until_it_is_removed():
    watched = monitor()
    models = [torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)]
    mine, other = (torch.optim.SGD(model.parameters(), 0.1) for model in models)
    steps = []
    watched.update = lambda step, model: steps.append((step, model))
    hook = on_step(watched, mine, models[0], start=7)
    for optimizer in (mine, other, mine):
        optimizer.step()
    assert steps == [(8, models[0]), (9, models[0])]
    hook.remove()
    mine.step()
    assert len(steps) == 2


def test_steps_that_a_gradient_scaler_skips_do_not_count():
    """Its first step meets an infinite gradient; three more are done."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    watched = monitor()
    steps = []
    watched.update = lambda step, _: steps.append(step)
    on_step(watched, optimizer, model)
    for k in range(4):
        loss = model(torch.ones(1, 2)).sum() * (float("inf") if k == 0 else 1.0)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    assert steps == [1, 2, 3]


def test_a_denoiser_around_the_network_needs_no_model():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watched = monitor(denoiser=denoiser(model))
    hook = on_step(watched, optimizer)
    for _ in range(3):
        loss_of(model).backward()
        optimizer.step()
    assert [look.step for look in watched.history] == [2, 3]
    assert not hook.should_stop


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_used_is_refused_by_name():
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
    with pytest.raises(mh.InputError, match="monitor: expected a Monitor, got object"):
        on_step(object(), optimizer)
    with pytest.raises(mh.InputError, match="optimizer: expected one of torch, got Linear"):
        on_step(monitor(), torch.nn.Linear(1, 1))
    with pytest.raises(mh.InputError, match="start: expected a whole number of at least 0"):
        on_step(monitor(), optimizer, start=-1)
    with pytest.raises(mh.InputError, match="sync_every: expected a whole number of at least 1"):
        on_step(monitor(), optimizer, sync_every=0)
