"""A small training with the global generators, as people write it, and monitors that look at it often."""

import torch
from torch import nn

import memhorizon as mh
from memhorizon.distributions import Empirical, Gaussian

SCHEDULE = mh.Schedule.linear()
PLAN = mh.LookPlan(first=2, ratio=1.5, n_samples=8, n_probe=8, n_shown=2)
N_TRAIN = 20


def items(n, seed, dim=6):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def denoiser(model):
    return mh.Denoiser.noise(model, SCHEDULE)


def perfect(_):
    """The denoiser of a network that has memorized the training set."""
    return mh.Denoiser.exact(Empirical(items(N_TRAIN, 0).double()))


def fair(_):
    """The denoiser of the law that the items are drawn from: it has learned, and copies nothing."""
    return mh.Denoiser.exact(Gaussian(torch.zeros(6).double(), torch.eye(6).double()))


def monitor(**changes):
    settings = {"holdout": items(20, 1), "denoiser": denoiser, "plan": PLAN, "budget": None}
    settings |= {"sampler": mh.SamplerConfig("ddim", 4), "target": 0.3}
    return mh.Monitor(items(N_TRAIN, 0), **(settings | changes))


class Net(nn.Module):
    """Predicts the noise of six numbers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(7, 16), nn.Dropout(0.2), nn.SiLU(), nn.Linear(16, 6))

    def forward(self, x, index):
        return self.body(torch.cat([x, index.to(x)[:, None] / 1000], 1))


def network(seed=0):
    """A new network; the global generator stays as it is."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Net()


def loss_of(model):
    """The denoising loss of a batch, drawn from the global generator."""
    x0 = items(N_TRAIN, 0)[torch.randint(N_TRAIN, (8,))]
    index = torch.randint(1, 1000, (8,))
    noise = torch.randn_like(x0)
    a = SCHEDULE.alpha_bar[index].float()[:, None]
    return (model(a.sqrt() * x0 + (1 - a).sqrt() * noise, index) - noise).square().mean()


def trained(steps=20, *, before=None, after=None):
    """A network after some updates; `before` gets it with its optimizer, `after` the step and the network."""
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    if before is not None:
        before(optimizer, model)
    for step in range(1, steps + 1):
        loss_of(model).backward()
        optimizer.step()
        optimizer.zero_grad()
        if after is not None:
            after(step, model)
    return model


def seen(watched):
    """The looks of a monitor but for the time that they took."""
    return [(k.step, k.phase, k.train_loss, k.holdout_loss, k.copies, k.stable_rank) for k in watched.history]
