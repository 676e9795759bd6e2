from copy import deepcopy

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from memhorizon.errors import InputError
from memhorizon.networks.unet import Attention, ResidualBlock, UNet, UNetConfig
from reference_unet import PlainUNet, matching

SMALL = UNetConfig(width=8, multipliers=(1, 2), blocks=1, attention=(False, True))


def batch_of(shape, batch=3, steps=1000):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(batch, *shape, generator=generator)
    return x, torch.randint(0, steps, (batch,), generator=generator)


# the counts of the paper's published code; its text rounds them to 0.26, 1, 4, 9 and 16 million
@pytest.mark.parametrize(
    ("width", "trained", "with_table"),
    [
        (8, 255_089, 263_089),
        (16, 1_010_657, 1_026_657),
        (32, 4_023_233, 4_055_233),
        (48, 9_037_729, 9_085_729),
        (64, 16_054_145, 16_118_145),
    ],
)
def test_parameter_counts_are_the_papers(width, trained, with_table):
    with torch.device("meta"):
        net = UNet(UNetConfig(width=width), 1, 1000)
    parameters = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert parameters == trained
    assert parameters + sum(b.numel() for b in net.buffers()) == with_table


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (UNetConfig(width=8), (1, 8, 8)),
        (UNetConfig(width=8, blocks=1), (3, 16, 8)),
        (
            UNetConfig(width=12, multipliers=(1, 1), attention=(True, True), heads=2, groups=4),
            (2, 6, 10),
        ),
        (UNetConfig(width=8, multipliers=(2,), attention=(False,), blocks=3), (1, 5, 5)),
        (UNetConfig(width=8, multipliers=(1, 2, 2, 4), attention=(False, False, True, False)), (1, 8, 8)),
    ],
)
def test_equals_its_plain_twin_in_output_and_gradient(config, shape):
    net = config.build(shape, seed=1).double()
    twin = PlainUNet.like(net, config).double()
    x, index = batch_of(shape)
    x = x.double()
    ours, theirs = net(x, index), twin(x, index)
    # rounding: some hundred operations in sequence, each within some eps = 2.2e-16 of numbers of order 100
    close = {"rtol": 1e-9, "atol": 1e-11}
    torch.testing.assert_close(ours, theirs, **close)
    F.mse_loss(ours, x).backward()
    F.mse_loss(theirs, x).backward()
    gradients = deepcopy(net)
    for gradient, parameter in zip(gradients.parameters(), net.parameters(), strict=True):
        gradient.data = parameter.grad
    for parameter, gradient in matching(twin, gradients):
        torch.testing.assert_close(parameter.grad, gradient.detach(), **close)


def test_the_twin_shares_every_parameter():
    net = UNetConfig(width=8).build((1, 8, 8), seed=1)
    twin = PlainUNet.like(net, UNetConfig(width=8))
    names = {id(p): name for name, p in twin.named_parameters()}
    copied = [names.pop(id(theirs)) for theirs, _ in matching(twin, net)]
    assert len(copied) == len(set(copied))
    assert list(names.values()) == ["embedding.weight"]
    torch.testing.assert_close(
        twin.embedding.weight, net.table.table, rtol=0, atol=1e-3
    )  # angles to 1e3 * 1e-7


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 8, 8), (1, 16, 16), (3, 16, 16), (1, 32, 32), (3, 32, 32), (1, 4, 12)]
)
def test_output_has_the_shape_of_the_input_and_plain_memory(shape):
    x, index = batch_of(shape)
    out = UNetConfig(width=8).build(shape, seed=0)(x, index)
    assert out.shape == x.shape
    assert out.is_contiguous()
    assert torch.isfinite(out).all()


def test_items_do_not_see_each_other():
    net = SMALL.build((1, 8, 8), seed=0).eval().double()
    x, index = batch_of((1, 8, 8), batch=5)
    together = net(x.double(), index)
    alone = torch.cat([net(x[i : i + 1].double(), index[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-11)


def test_attention_sits_where_it_is_asked_for_and_in_the_first_bottleneck_block():
    with torch.device("meta"):
        net = UNet(UNetConfig(), 1, 1000)

    def attends(layers):
        return [
            isinstance(layer.attention, Attention) for layer in layers if isinstance(layer, ResidualBlock)
        ]

    assert attends(net.down) == [False] * 2 + [True] * 4
    assert attends(net.middle) == [True, False]
    assert attends(net.up) == [True] * 6 + [False] * 3


def test_the_time_matters_and_the_table_is_sines_and_cosines():
    net = SMALL.build((1, 8, 8), seed=0)
    x, _ = batch_of((1, 8, 8), batch=1)
    assert (net(x, torch.tensor([0])) - net(x, torch.tensor([500]))).abs().max() > 1e-3
    table = net.table.table
    torch.testing.assert_close(
        table[7, :4], torch.sin(7 * torch.tensor([1, 10 ** (-4 / 3), 10 ** (-8 / 3), 1e-4]))
    )
    torch.testing.assert_close(table[:, :4] ** 2 + table[:, 4:] ** 2, torch.ones(1000, 4))


def test_weights_follow_the_seed_and_nothing_else():
    torch_state = torch.random.get_rng_state()
    first = SMALL.build((1, 8, 8), seed=3).state_dict()
    torch.rand(5)  # another state of the global generator
    again, other = SMALL.build((1, 8, 8), seed=3).state_dict(), SMALL.build((1, 8, 8), seed=4).state_dict()
    torch.random.set_rng_state(torch_state)
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["inlet.weight"], other["inlet.weight"])
    assert all(v.is_contiguous() for v in first.values())  # as safetensors wants them
    assert not any("table" in k for k in first)


def steps_of(net, n):
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    x, index = batch_of((1, 8, 8), batch=16)
    losses = []
    for _ in range(n):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x, index), x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_same_seed_and_threads_give_the_same_bytes_after_steps():
    nets = [UNetConfig(width=8).build((1, 8, 8), seed=0) for _ in range(2)]
    losses = [steps_of(net, 5) for net in nets]
    assert losses[0] == losses[1]
    states = [net.state_dict() for net in nets]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_it_learns():
    losses = steps_of(SMALL.build((1, 8, 8), seed=0), 60)
    assert losses[-1] < 0.5 * losses[0]  # copying its input is easy for a network with skips


def test_dropout_drops_whole_channels_in_training_only():
    config = UNetConfig(width=8, multipliers=(1,), blocks=1, attention=(False,), dropout=0.5)
    net, plain = (
        config.build((1, 4, 4), seed=0),
        UNetConfig(width=8, multipliers=(1,), blocks=1, attention=(False,)).build((1, 4, 4), seed=0),
    )
    x, index = batch_of((1, 4, 4))
    assert torch.equal(net.eval()(x, index), plain(x, index))
    block = net.down[0].train()
    seen = []
    block.conv2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    shift, h = torch.zeros(500, 8), torch.randn(500, 4, 4, 8, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block(h, shift)
        block.eval()(h, shift)
    dropped, kept = seen
    gone = (dropped == 0).all(dim=(1, 2))  # [500, 8]
    share = gone.float().mean().item()
    assert abs(share - 0.5) < 5 * (0.25 / gone.numel()) ** 0.5  # binomial standard errors
    torch.testing.assert_close(dropped, torch.where(gone[:, None, None], 0.0, 2 * kept))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"width": 0}, "width"),
        ({"width": 9}, "width"),
        ({"width": 12}, "groups"),
        ({"width": 2, "groups": 1, "heads": 1}, "width"),
        ({"multipliers": ()}, "multipliers"),
        ({"multipliers": (1, 0, 2)}, "multipliers"),
        ({"blocks": 0}, "blocks"),
        ({"heads": 0}, "heads"),
        ({"heads": 3}, "heads"),
        ({"heads": 3, "attention": (False, False, False)}, "heads"),  # the bottleneck attends all the same
        ({"groups": 0}, "groups"),
        ({"groups": 3}, "groups"),
        ({"attention": (False, True)}, "attention"),
        ({"attention": (False, True, True, True)}, "attention"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
    ],
)
def test_bad_configurations_are_named(change, word):
    with pytest.raises(InputError, match=word):
        UNetConfig(**change)


@pytest.mark.parametrize(
    ("shape", "word"),
    [
        ((8, 8), "channels, height, width"),
        ((1, 1, 8, 8), "item_shape"),
        ((0, 8, 8), "item_shape"),
        ((1, 8, 6), "by 4"),
        ((1, 10, 8), "by 4"),
        ((784,), "item_shape"),
    ],
)
def test_bad_item_shapes_are_named(shape, word):
    with pytest.raises(InputError, match=word):
        UNetConfig(width=8).build(shape, seed=0)


@pytest.mark.parametrize(
    ("x", "index", "word"),
    [
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64), r"x: .*\[batch, 1"),
        (torch.zeros(2, 8, 8), torch.zeros(2, dtype=torch.int64), "x: "),
        (torch.zeros(2, 1, 7, 8), torch.zeros(2, dtype=torch.int64), "x: .*divisible by 2"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(1, dtype=torch.int64), "index: .*2 items"),
        (torch.zeros(2, 1, 8, 8), torch.tensor(3), "index"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2), "index: .*float32"),
        (torch.zeros(2, 1, 8, 8), torch.tensor([0, 1000]), "index: .*below 1000.*1000"),
    ],
)
def test_bad_calls_are_named(x, index, word):
    with pytest.raises(InputError, match=word):
        SMALL.build((1, 8, 8), seed=0)(x, index)
