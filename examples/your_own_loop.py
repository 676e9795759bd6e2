"""Training is a generator: log, save, measure and stop as you like.

python examples/your_own_loop.py
"""

import memhorizon as mh

SETTINGS = mh.MeasureConfig(n_samples=200, sampler=mh.SamplerConfig("ddim", 20), diffusion_times=(0.3,))


def main(n_updates: int = 2000, n_train: int = 16) -> list[tuple[int, mh.Fraction]]:
    split = mh.load_split(mh.DataConfig(name="digits", n_train=n_train, n_holdout=128, scale=2.0))
    network = mh.UNetConfig(width=16, multipliers=(1, 2), blocks=1, attention=(False, True))
    state = mh.TrainState.new(network.build(split.item_shape, seed=0), mh.OptimizerConfig(lr=2e-3))
    schedule = mh.Schedule.linear()
    denoiser = mh.Denoiser.noise(state.model, schedule)
    reference = mh.Reference.of(split.train, split.holdout)
    config = mh.TrainConfig(n_updates=n_updates, batch_size=32)

    found = []
    for step in mh.train(state, split.train, schedule=schedule, config=config, seed=0):
        if step.step % max(1, n_updates // 8):
            continue
        seen = mh.observe(denoiser, reference, settings=SETTINGS)
        print(f"step {step.step}: loss {float(step.loss):.3f}, held-out loss {seen.holdout[0]}")
        print(f"    memorized {seen.memorized}, among held-out items {seen.null}")
        found.append((step.step, seen.memorized))
        if seen.memorized.low > 0.05:  # more than one sample in twenty is a copy: ship an earlier snapshot
            break
    return found


if __name__ == "__main__":
    main()
