"""The monitor in a training loop: what it says, and that the training does not notice it."""

import math
import random
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import memhorizon as mh
from memhorizon.distributions import Gaussian
from memhorizon.monitor.settings import split_off
from memhorizon.records.files import load_record, write_record
from memhorizon.records.monitor import Phase, Stop

SCHEDULE = mh.Schedule.linear()
QUICK = mh.LookPlan(first=4, ratio=1.5, n_samples=16, n_probe=32, n_shown=4)
SAMPLER = mh.SamplerConfig("ddim", 5)


@pytest.fixture(autouse=True)
def trainings_move_the_global_generators():
    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    torch.random.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


def items(n, seed, dim=6):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def monitor(**changes):
    settings = {
        "holdout": items(40, 1),
        "denoiser": lambda model: mh.Denoiser.noise(model, SCHEDULE),
        "sampler": SAMPLER,
        "plan": QUICK,
        "budget": None,
    }
    return mh.Monitor(items(30, 0), **{**settings, **changes})


class Net(nn.Module):
    """A small network with everything that a look could disturb: dropout, batch statistics, a hook."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(7, 32), nn.BatchNorm1d(32), nn.Dropout(0.2), nn.SiLU())
        self.head = nn.Linear(32, 6)

    def forward(self, x, index):
        t = index.to(x)[:, None] / 1000
        return self.head(self.body(torch.cat([x, t], 1)))


def trained(watch=None, *, steps=40, seed=0, start=None):
    """Plain training with the global generators, as people write it."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    data = items(30, 0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    alpha_bar = SCHEDULE.alpha_bar
    for step in range(1, steps + 1):
        index = torch.randint(1, 1000, (16,))
        x0 = data[torch.from_numpy(np.random.randint(0, 30, 16))] * (1 + 0 * random.random())
        noise = torch.randn_like(x0)
        a = alpha_bar[index].float()[:, None]
        loss = (model(a.sqrt() * x0 + (1 - a).sqrt() * noise, index) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if watch is not None:
            watch(step, model)
    return model


def test_a_training_does_not_notice_it(tmp_path):
    watch = monitor(root=tmp_path)
    plain = trained().state_dict()
    watched = trained(watch.update)
    assert len(watch.history) >= 6
    assert any(look.copies is not None for look in watch.history)
    assert watch.record().failures == ()
    assert all(torch.equal(plain[name], value) for name, value in watched.state_dict().items())
    assert watched.training
    assert all(part.training for part in watched.modules())
    assert not any(part._forward_pre_hooks for part in watched.modules())
    assert torch.is_grad_enabled()


def test_under_autocast_the_training_does_not_notice_it():
    """A cast that is cached without a gradient would lose the gradient of the training (see `isolated`)."""

    def grads(watch):
        torch.manual_seed(0)
        model = Net()
        x = items(8, 5)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if watch is not None:
                watch.update(10, model)
            model(x, torch.full((8,), 500)).float().square().mean().backward()
        return [parameter.grad for parameter in model.parameters()]

    watch = monitor()
    pairs = zip(grads(None), grads(watch), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert len(watch.history) == 1


def test_it_costs_microseconds_where_nothing_is_due():
    watch = monitor(plan=mh.LookPlan(first=10**9))
    watch.update(0)
    start = time.process_time()
    for step in range(10_000):
        watch.update(step)
    assert (time.process_time() - start) / 10_000 < 50e-6  # some 2e-6 where it was tried


def test_a_network_that_has_learned_its_training_set_is_memorizing(tmp_path):
    """The exact denoiser of the training items: every sample is one of them."""
    train = items(30, 0)
    perfect = mh.Denoiser.exact(mh_empirical(train))
    watch = monitor(denoiser=perfect, sampler=mh.SamplerConfig("ddim", 25), root=tmp_path)
    verdict = watch.update(10)
    assert verdict is not None
    assert verdict.phase is Phase.MEMORIZING
    assert verdict.stop is Stop.COPIES
    assert watch.should_stop
    assert watch.best is None
    assert watch.history[-1].copies is not None
    assert watch.history[-1].copies.value > 0.9
    record = load_record(tmp_path / "monitor.json")
    assert repr(record.looks) == repr(watch.history)  # from Python 3.13 on NaN differs from itself there
    assert (tmp_path / watch.record().sheets[0].arrays).is_file()


def mh_empirical(train):
    from memhorizon.distributions import Empirical

    return Empirical(train.double())


def test_a_network_that_has_learned_the_distribution_gets_a_certificate():
    """The exact denoiser of the distribution copies nothing: its certificate stands, and says so."""
    honest = mh.Denoiser.exact(Gaussian(torch.zeros(6).double(), torch.eye(6).double()))
    watch = monitor(denoiser=honest, target=0.05, sampler=mh.SamplerConfig("ddim", 25))
    for step in (10, 20, 40):
        watch.update(step)
    assert watch.verdict.phase is Phase.WINDOW
    assert not watch.should_stop
    best = watch.best
    assert best is not None
    assert best.certificate.upper <= 0.05
    assert best.certificate.candidates == 10
    assert best.copies.total >= 104  # log(K/0.05)/-log(0.95) with K = 10 limits, two of each of five looks


def test_no_seed_is_used_twice():
    watch = monitor()
    taken = watch._memory.seeds(100) + watch._memory.seeds(100)
    assert len(set(taken)) == 200
    watch._memory.next_seed = 2**32 - 1
    assert watch._memory.seeds(2) == [2**32 - 1, 0]


def test_a_resumed_monitor_goes_on_where_it_was(tmp_path):
    whole = monitor()
    trained(whole.update)
    first = monitor()
    second = monitor()

    def half(step, model):
        if step == 20:
            torch.save(first.state_dict(), tmp_path / "state.pt")
            second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        (first if step <= 20 else second).update(step, model)

    trained(half)
    pairs = list(zip(whole.history, second.history, strict=True))
    assert len(pairs) >= 6
    for one, other in pairs:
        assert timeless(one) == timeless(other)
    assert str(whole.best) == str(second.best)


def timeless(look):
    return str(replace(look, train_seconds=0.0, monitor_seconds=0.0))


def test_a_record_comes_back_as_it_was_written(tmp_path):
    watch = monitor()
    trained(watch.update)
    record = watch.record()
    again = load_record(write_record(record, tmp_path / "record.json"))
    assert str(again.looks) == str(record.looks)
    assert again.verdict == record.verdict
    assert again.rule == record.rule


def raises(*_):
    raise RuntimeError("the tracker is down")


def test_an_error_in_the_log_is_reported_once_and_the_training_goes_on():
    watch = monitor(log=raises)
    with pytest.warns(UserWarning, match="tracker is down") as caught:
        trained(watch.update)
    assert len(caught) == 1
    assert len(watch.history) >= 6
    assert "tracker is down" in watch.record().failures[-1]


def test_a_network_that_cannot_be_looked_at_is_reported_and_the_training_goes_on():
    watch = monitor(denoiser=raises)
    with pytest.warns(UserWarning, match="tracker is down"):
        trained(watch.update)
    assert watch.history == ()
    assert watch.verdict.phase is Phase.CANNOT_TELL


def test_where_warnings_are_errors_a_failure_ends_nothing():
    watch = monitor(denoiser=raises)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert watch.update(10, Net()) is None
    assert watch.record().failures


def test_a_folder_that_cannot_be_written_is_reported_and_the_training_goes_on(tmp_path):
    watch = monitor(root=tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    (tmp_path / "folder").write_text("in the way")
    with pytest.warns(UserWarning, match="the training continues"):
        trained(watch.update)
    assert len(watch.history) >= 6


def test_what_is_logged_has_the_names_that_people_know():
    logged = {}
    watch = monitor(log=lambda numbers, step: logged.setdefault(step, numbers))
    trained(watch.update)
    assert list(logged) == [look.step for look in watch.history]
    names = set().union(*logged.values())
    assert {"memhorizon/loss_gap", "memhorizon/copied_fraction"} <= names
    assert {f"memhorizon/loss_quantile_0.{k}0" for k in range(1, 10)} <= names
    assert all(math.isfinite(value) for numbers in logged.values() for value in numbers.values())


def test_without_held_out_items_only_copies_are_looked_for():
    watch = monitor(holdout=None)
    trained(watch.update)
    assert watch.verdict.phase in (Phase.CANNOT_TELL, Phase.MEMORIZING)
    assert "held-out" in watch.verdict.reason or watch.verdict.phase is Phase.MEMORIZING
    assert all(math.isnan(look.holdout_loss) for look in watch.history)
    assert watch.record().rule.null.total == 30


def test_held_out_items_that_are_trained_on_are_left_out():
    shared = torch.cat([items(30, 0)[:5], items(20, 1)])
    assert monitor(holdout=shared).record().shared == 5
    with pytest.raises(mh.InputError, match=r"holdout: expected at least 8 .* got 0 \(30 more"):
        monitor(holdout=items(30, 0))


def test_a_set_is_divided_without_loss():
    images = items(60, 3)
    train, holdout = split_off(images, share=0.2, seed=1)
    assert (len(train), len(holdout)) == (48, 12)
    assert torch.equal(torch.cat([train, holdout]).sort(0).values, images.sort(0).values)
    with pytest.raises(mh.InputError, match="items: expected at least 16"):
        split_off(images[:10])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": 0}, "target"),
        ({"confidence": 1}, "confidence"),
        ({"budget": 0}, "budget"),
        ({"sampler": "ddim"}, "sampler"),
        ({"log": 3}, "log"),
        ({"denoiser": 3}, "denoiser"),
        ({"plan": 3}, "plan"),
        ({"most_certificates": 0}, "most_certificates"),
        ({"root": 3}, "root"),
        ({"root": __file__}, "root: cannot make the folder"),
        ({"root": "/proc/x"}, "root: cannot make the folder"),
        ({"root": 300 * "r"}, "root: cannot make the folder"),
        ({"timer": 5}, "timer: expected a function"),
        ({"name": 5}, "name: expected a str"),
        ({"seed": 2**63}, "seed: expected a whole number"),
        ({"n_updates": 2**63}, "n_updates: expected a whole number"),
        ({"holdout": items(40, 1, dim=5)}, "train, holdout"),
    ],
)
def test_bad_input_is_named(changes, words):
    with pytest.raises(mh.InputError, match=words):
        monitor(**changes)


def test_what_it_took_is_measured_and_kept_within_the_budget():
    """A clock that ticks with the work: a second for an update, a tenth for a call of the network."""
    ticks = [0.0]
    net = Net()

    def model(x, index):
        ticks[0] += 0.1
        return net(x, index)

    watch = monitor(
        budget=0.05,
        denoiser=mh.Denoiser.noise(model, SCHEDULE),
        timer=lambda: ticks[0],
        plan=mh.LookPlan(4, 1.05, 1.1, 16, 32, 0),
    )
    for step in range(1, 3000):
        ticks[0] += 1
        watch.update(step)
    assert len(watch.history) > 10
    assert watch.overhead <= 0.05
    assert watch.record().overhead == watch.overhead


def test_the_best_checkpoint_that_could_not_be_certified_in_time_is_certified_at_the_end():
    """Certified from weights that were kept; the network has the weights that it had, to the bit."""
    watch = monitor(target=0.2, plan=mh.LookPlan(4, 1.5, 1.5, 16, 32, 4))
    watch._memory.certificates = 5  # none is left during the training
    model = trained(watch.update)
    assert watch.best is None
    before = {name: value.clone() for name, value in model.state_dict().items()}
    watch._memory.certificates = 0
    best = watch.finish(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert watch.record().failures == ()
    certified = [look.step for look in watch.history if look.certified]
    candidates = watch._memory.candidates
    lowest = min(look.holdout_loss for look in watch.history if look.step <= candidates[-1])
    at = {look.step: look for look in watch.history}
    assert at[candidates[-1]].holdout_loss == lowest
    # nothing before the stop is lower by 2 %
    assert all(look.holdout_loss > 0.98 * lowest for look in watch.history if look.stop is Stop.NO)
    # the lowest one first, those before it where that one copies
    assert certified in ([candidates[-1]], candidates[-2:], candidates[-3:])
    assert best is None or best.step == certified[0]
    assert watch.finish(model) == best  # nothing is left to do


def test_adapters_alone_are_kept_where_the_rest_is_frozen():
    from memhorizon.monitor.keeping import put_back, weights_of

    with torch.random.fork_rng():
        model = Net()
    for parameter in model.body.parameters():
        parameter.requires_grad_(False)
    kept = weights_of([model])
    assert "head.weight" in kept
    assert "body.0.weight" not in kept
    assert "body.1.running_mean" in kept
    with torch.no_grad():
        model.head.weight.zero_()
    put_back([model], kept)
    assert torch.equal(model.head.weight, kept["head.weight"])


def test_losses_are_measured_on_as_many_items_as_the_budget_pays_for():
    """A second for an update, a hundredth for each item in the network: what a look may cost is known."""
    ticks = [0.0]
    net = Net()

    def model(x, index):
        ticks[0] += 0.01 * len(x)
        return net(x, index)

    watch = monitor(
        budget=0.05,
        n_updates=4000,
        denoiser=mh.Denoiser.noise(model, SCHEDULE),
        timer=lambda: ticks[0],
        plan=mh.LookPlan(n_probe=128, n_samples=4, n_shown=0),
    )
    for step in range(1, 4001):
        ticks[0] += 1
        watch.update(step)
    rows = watch._memory.rows
    # three quarters of 5 % of 4,000 s, for twenty looks at 9 levels of as many items of either set
    assert rows == int(0.75 * 0.05 * 4000 / 20 / (9 * 2 * 0.01))
    assert watch.history[0].note.startswith(f"losses of {rows} items")
    assert len(watch.history) >= 15
    assert watch.overhead <= 0.05
    again = monitor(plan=mh.LookPlan(n_probe=128))
    again.load_state_dict(watch.state_dict())
    assert len(again._prober.probe.train) == rows


def test_every_contact_sheet_has_its_picture_in_the_end(tmp_path):
    """Within a budget that pays for few files: what is not drawn in the training is drawn by `finish`."""
    ticks = [0.0]
    pictures = items(30, 0, dim=16).reshape(30, 1, 4, 4) / 2
    honest = mh.Denoiser.exact(Gaussian(torch.zeros(16).double(), torch.eye(16).double() / 4))

    def timer():
        ticks[0] += 0.001
        return ticks[0]

    watch = mh.Monitor(
        pictures,
        holdout=items(40, 1, dim=16).reshape(40, 1, 4, 4) / 2,
        denoiser=honest,
        sampler=SAMPLER,
        plan=mh.LookPlan(4, 1.5, 1.5, 16, 32, 4),
        budget=0.05,
        root=tmp_path,
        timer=timer,
    )
    for step in range(1, 200):
        ticks[0] += 1
        watch.update(step)
    watch.finish()
    sheets = watch.record().sheets
    assert len(sheets) >= 3
    assert all((tmp_path / sheet.picture).is_file() for sheet in sheets)
    assert repr(load_record(tmp_path / "monitor.json").looks) == repr(watch.history)
    assert watch.record().failures == ()


def test_of_a_flat_minimum_an_early_checkpoint_is_kept_and_two_before_it():
    """Another candidate is 1 % lower than the last one; a look that is not the lowest is none."""
    from memhorizon.monitor.subject import Subject
    from memhorizon.records.monitor import Look

    watch = monitor()
    subject = Subject.of(mh.Denoiser.noise(Net(), SCHEDULE))
    lowest = math.inf
    for step, loss in enumerate((1.1, 1.0, 0.995, 0.97, 0.98, 0.965, 0.955, 0.95), start=1):
        look = Look(step, Phase.WINDOW, holdout_loss=loss, rise=max(0.0, loss / lowest - 1))
        lowest = min(lowest, loss)
        watch._memory.looks.append(look)
        watch._keeper.keep_candidate(watch._memory, look, subject)
    assert watch._memory.candidates == [2, 4, 7]
    assert list(watch._keeper.candidates) == [2, 4, 7]


def test_at_the_stop_the_checkpoint_that_was_kept_is_certified_and_the_training_goes_on_as_it_was():
    watch = monitor(target=0.2, most_certificates=1, plan=mh.LookPlan(4, 1.2, 1.5, 16, 32, 4))
    watch._memory.certificates = 1  # none is left before the stop

    def update(step, model):
        if step == 60:  # the test for the stop has seen enough
            watch._memory.certificates = 0
            watch._memory.test = replace(watch._memory.test, largest=10.0)
        watch.update(step, model)

    plain = trained(steps=80).state_dict()
    watched = trained(update, steps=80).state_dict()
    stop = next(look.step for look in watch.history if look.stop is Stop.COPIES)
    kept = [look.step for look in watch.history if look.certified]
    assert kept == watch._memory.candidates[-1:]
    assert kept[0] < stop
    assert all(torch.equal(plain[name], value) for name, value in watched.items())


def test_the_verdict_tells_of_the_samples_of_the_certificate_and_the_record_of_the_whole_cost(tmp_path):
    watch = monitor(target=0.2, root=tmp_path, plan=mh.LookPlan(4, 1.5, 1.5, 16, 32, 4))
    watch._memory.certificates = 5  # none is left during the training
    model = trained(watch.update)
    watch._memory.certificates = 0
    watch.finish(model)
    certified = [look for look in watch.history if look.certified]
    assert certified
    told = f"{certified[-1].copies.count} of {certified[-1].copies.total:,} samples at step"
    assert told in watch.verdict.reason
    record = load_record(tmp_path / "monitor.json")
    assert record.overhead == watch.overhead
    assert record.verdict == watch.verdict


def test_a_training_too_short_for_a_look_is_looked_at_when_it_is_over():
    watch = monitor(plan=mh.LookPlan(first=1000))
    model = trained(watch.update, steps=3)
    best = watch.finish(model)
    assert [(look.step, look.certified) for look in watch.history] == [(3, True)]
    assert best is not None
    assert best.step == 3


def test_a_training_that_told_no_step_is_told_so():
    watch = monitor()
    with pytest.warns(UserWarning, match=r"no step of this training was told.*update.*certify"):
        assert watch.finish(nn.Linear(2, 2)) is None


def test_a_step_that_is_sampled_twice_has_the_later_sheet(tmp_path):
    pictures = items(30, 0, dim=16).reshape(30, 1, 4, 4) / 2
    honest = mh.Denoiser.exact(Gaussian(torch.zeros(16).double(), torch.eye(16).double() / 4))
    watch = mh.Monitor(pictures, denoiser=honest, sampler=SAMPLER, budget=None, root=tmp_path)
    watch.certify(80)
    first = (tmp_path / watch.record().sheets[0].picture).read_bytes()
    watch.certify(80)
    [sheet] = watch.record().sheets
    assert (tmp_path / sheet.picture).read_bytes() != first


def test_a_report_for_which_there_is_no_room_is_refused_by_name(tmp_path):
    """A limit of the size of files, since a disk cannot be filled here: errors of the same kind."""
    resource = pytest.importorskip("resource")
    watch = monitor()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(mh.InputError, match="path: cannot write '.*page.html'"):
            watch.report(tmp_path / "page.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert watch.report(tmp_path / "page.html").is_file()
