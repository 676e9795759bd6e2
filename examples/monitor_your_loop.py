"""A training loop of your own with a monitor: two lines and a condition. It stops in time and writes a page.

python examples/monitor_your_loop.py [FOLDER OF IMAGES]     without one: 300 handwritten digits
"""

import sys

import torch

import memhorizon as mh


def read(folder: str | None, n_train: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Training images and as fresh ones that are held out, on the scale that the network sees."""
    if folder is None:
        digits = mh.load_split(mh.DataConfig(name="digits", n_train=n_train, n_holdout=60, scale=2.0))
        return digits.train, digits.holdout
    images = 2 * mh.load_images(folder, size=32).images - 1
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
    return images[len(images) // 6 :], images[: len(images) // 6]


def main(folder: str | None = None, *, n_updates: int = 20_000, n_train: int = 300, **settings) -> mh.Monitor:
    train, holdout = read(folder, n_train)
    network = mh.UNetConfig(width=16, multipliers=(1, 2), blocks=1, attention=(False, True))
    net = network.build(tuple(train.shape[1:]), seed=0)
    schedule = mh.Schedule.linear()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    random = torch.Generator().manual_seed(0)

    def denoiser(model: torch.nn.Module) -> mh.Denoiser:
        return mh.Denoiser.noise(model, schedule)

    # the first line
    monitor = mh.Monitor(train, holdout=holdout, denoiser=denoiser, root="monitored", **settings)
    for step in range(1, n_updates + 1):
        x = train[torch.randint(len(train), (32,), generator=random)]
        index = torch.randint(1, len(schedule), (32,), generator=random)
        noise = torch.randn(x.shape, generator=random)
        a = schedule.alpha_bar[index].float().view(-1, 1, 1, 1)
        loss = (net(a.sqrt() * x + (1 - a).sqrt() * noise, index) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if monitor.update(step, net):  # the second; there is a verdict where it has looked, once in a while
            print(monitor.verdict)
        if monitor.should_stop:
            break

    monitor.finish(net)  # certifies the best checkpoint, if the budget did not allow for it before
    print(f"best: {monitor.best.certificate if monitor.best else 'no checkpoint has a certificate'}")
    print(f"open {monitor.report('monitored/report.html')}")
    return monitor


if __name__ == "__main__":
    main(*sys.argv[1:])
