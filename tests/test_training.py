from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from memhorizon.errors import InputError
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, at_marks, batch_rows, train

SCHEDULE = Schedule.linear()


def items(n=20, *shape, seed=3):
    return torch.randn(n, *(shape or (4,)), generator=torch.Generator().manual_seed(seed))


def run(state, data, config, seed=0, until=None):
    for step in train(state, data, schedule=SCHEDULE, config=config, seed=seed):
        if step.step == until:
            break
    return state


def fresh(kind="adam", ema=0.0, dropout=False, seed=1):
    model = MLPConfig(width=16, blocks=1).build((4,), seed=seed)
    if dropout:
        model = Dropping(model)
    return TrainState.new(model, OptimizerConfig(name=kind, lr=1e-3), ema=ema)


class Dropping(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.dropout = inner, nn.Dropout(0.3)

    def forward(self, x, index):
        return self.dropout(self.inner(x, index))


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("cut", [1, 7])
def test_a_saved_and_loaded_state_goes_on_bit_for_bit(kind, cut):
    config = TrainConfig(n_updates=15, batch_size=8, ema=0.9)
    whole = run(fresh(kind, ema=0.9, dropout=True), items(), config)
    half = run(fresh(kind, ema=0.9, dropout=True), items(), config, until=cut)
    other = fresh(kind, ema=0.9, dropout=True, seed=2)  # other initial weights: all must come from the file
    other.load({name: tensor.clone() for name, tensor in half.tensors().items()})
    resumed = run(other, items(), config)
    assert resumed.step == 15
    left, right = whole.tensors(), resumed.tensors()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_the_global_generator_does_not_matter():
    config = TrainConfig(n_updates=5, batch_size=8)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        one = run(fresh(dropout=True), items(), config).tensors()
        torch.manual_seed(6)
        two = run(fresh(dropout=True), items(), config).tensors()
    assert all(torch.equal(one[name], two[name]) for name in one)
    three = run(fresh(dropout=True), items(), config, seed=1).tensors()
    assert not all(torch.equal(one[name], three[name]) for name in one)


@pytest.mark.parametrize(("n", "batch_size"), [(10, 4), (10, 10), (7, 3), (5, 1)])
def test_each_epoch_shows_each_item_once(n, batch_size):
    stream = [row for step in range(3 * n) for row in batch_rows(step, n, batch_size, 2).tolist()]
    epochs = [stream[start : start + n] for start in range(0, len(stream) - n + 1, n)]
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs)
    assert batch_size == n or len({tuple(epoch) for epoch in epochs}) > 1


@pytest.mark.parametrize(("begun", "marks", "seen"), [(0, [2, 5], [2, 5]), (3, [2, 5], [5]), (0, [], [])])
def test_a_training_is_looked_at_at_its_marks_and_ends_with_the_last(begun, marks, seen):
    config = TrainConfig(n_updates=9, batch_size=8)
    state = run(fresh(), items(), config, until=begun) if begun else fresh()
    steps = train(state, items(), schedule=SCHEDULE, config=config, seed=0)
    looked = [(step.step, state.step) for step in at_marks(steps, marks)]
    assert looked == [(step, step) for step in seen]
    assert state.step == max(marks, default=begun)


def test_the_average_of_the_weights_is_the_one_written_out():
    decay, config = 0.8, TrainConfig(n_updates=6, batch_size=8, ema=0.8)
    state = fresh(ema=decay)
    name = next(iter(dict(state.model.named_parameters())))
    by_hand = None
    for _ in train(state, items(), schedule=SCHEDULE, config=config, seed=0):
        now = state.model.get_parameter(name).detach().clone()
        by_hand = now if by_hand is None else decay * by_hand + (1 - decay) * now
        # each update rounds once in 32 bits, six of them
        torch.testing.assert_close(state.shipped.get_parameter(name), by_hand, rtol=6 * 2**-23, atol=1e-7)


class Constant(nn.Module):
    """Predicts one learned vector whatever it sees: its best loss and its optimum are known."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.full((4,), 2.0))

    def forward(self, x, index):
        return self.value.expand_as(x)


def test_gradient_descent_follows_its_closed_form():
    """The loss |c - noise|^2/4 has gradient (c - noise)/2, c decays by 1 - lr/2 a step, plus noise."""
    n, lr, steps = 4000, 0.5, 8
    state = TrainState.new(Constant(), OptimizerConfig("sgd", lr=lr, momentum=0.0))
    run(state, items(n), TrainConfig(n_updates=steps, batch_size=None))
    expected = 2.0 * (1 - lr / 2) ** steps
    scatter = lr / 2 * (sum((1 - lr / 2) ** (2 * k) for k in range(steps)) / n) ** 0.5
    assert (state.model.value.detach() - expected).abs().max() < 5 * scatter


def test_indices_are_uniform_and_never_zero():
    seen = Counter()

    class Spy(Constant):
        def forward(self, x, index):
            seen.update(index.tolist())
            return super().forward(x, index)

    run(TrainState.new(Spy(), OptimizerConfig()), items(5000), TrainConfig(n_updates=10, batch_size=None))
    assert 0 not in seen
    counts = torch.tensor([seen[i] for i in range(1, 1000)], dtype=torch.float64)
    expected = 50_000 / 999
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert abs(float(chi2) - 998) < 5 * (2 * 998) ** 0.5


def test_one_time_trains_at_one_index():
    seen = set()

    class Spy(Constant):
        def forward(self, x, index):
            seen.update(index.tolist())
            return super().forward(x, index)

    run(TrainState.new(Spy(), OptimizerConfig()), items(), TrainConfig(n_updates=3, diffusion_time=0.01))
    assert seen == {SCHEDULE.index_of_t(0.01)}


def test_batch_is_the_training_set_where_that_is_smaller():
    sizes = []

    class Spy(Constant):
        def forward(self, x, index):
            sizes.append(len(x))
            return super().forward(x, index)

    run(TrainState.new(Spy(), OptimizerConfig()), items(5), TrainConfig(n_updates=2, batch_size=512))
    run(TrainState.new(Spy(), OptimizerConfig()), items(5), TrainConfig(n_updates=2, batch_size=3))
    assert sizes == [5, 5, 3, 3]


def test_a_unet_learns():
    state = TrainState.new(
        UNetConfig(width=8, multipliers=(1, 2), attention=(False, True)).build((1, 8, 8), seed=0),
        OptimizerConfig(lr=2e-3),
    )
    losses = [
        float(step.loss)
        for step in train(
            state,
            items(16, 1, 8, 8) * 0.1,
            schedule=SCHEDULE,
            config=TrainConfig(n_updates=60, batch_size=16),
            seed=0,
        )
    ]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OptimizerConfig(lr=0.0), "lr"),
        (lambda: OptimizerConfig(lr=float("nan")), "lr"),
        (lambda: OptimizerConfig(momentum=1.0), "momentum"),
        (lambda: OptimizerConfig(betas=(0.9, 1.5)), "betas"),
        (lambda: OptimizerConfig(weight_decay=-1.0), "weight_decay"),
        (lambda: TrainConfig(n_updates=0), "n_updates"),
        (lambda: TrainConfig(batch_size=0), "batch_size"),
        (lambda: TrainConfig(ema=1.0), "ema"),
        (lambda: TrainConfig(diffusion_time=-0.1), "diffusion_time:"),
        (lambda: run(fresh(), items(0), TrainConfig(n_updates=1)), "data"),
        (lambda: run(fresh(), items() * float("nan"), TrainConfig(n_updates=1)), "data"),
        (lambda: fresh().load({"step": torch.tensor(1)}), "state"),
        (lambda: fresh().load(TrainState.new(Constant(), OptimizerConfig()).tensors()), "state"),
    ],
)
def test_bad_input_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_state_is_short_when_shown():
    assert repr(fresh(ema=0.9)) == "TrainState(ResidualMLP, Adam, 0 updates done)"


def test_every_update_draws_what_its_step_says():
    """The noise of an update is that of a generator seeded from (seed, step), written out."""
    seen = []

    class Spy(Constant):
        def forward(self, x, index):
            seen.append(x.clone())
            return super().forward(x, index)

    data = items(6)
    config = TrainConfig(n_updates=2, batch_size=None, diffusion_time=0.5)
    run(TrainState.new(Spy(), OptimizerConfig()), data, config, seed=11)
    alpha_bar = SCHEDULE.at(SCHEDULE.index_of_t(0.5))
    for step, x in enumerate(seen):
        word = int(np.random.SeedSequence((11, step)).generate_state(2)[0])
        noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(word))
        expected = alpha_bar.sqrt().float() * data + (1 - alpha_bar).sqrt().float() * noise
        torch.testing.assert_close(x, expected, rtol=0.0, atol=4 * 2**-24 * 5)
