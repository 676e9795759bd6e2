"""Training is a generator: log, save, measure and stop as you like.

python examples/your_own_loop.py
"""

import memhorizon as mh


def main(steps: int = 2000, n_train: int = 16) -> list[tuple[int, mh.Fraction]]:
    split = mh.load_split(mh.DataConfig(name="digits", n_train=n_train, n_holdout=128, scale=2.0))
    model = mh.UNetConfig(width=16, multipliers=(1, 2), blocks=1, attention=(False, True))
    schedule = mh.Schedule.linear()
    state = mh.TrainState.new(model.build(split.item_shape, seed=0), mh.OptimizerConfig(lr=2e-3))
    config, seen = mh.TrainConfig(n_updates=steps, batch_size=32), []
    for step in mh.train(state, split.train, schedule=schedule, config=config, seed=0):
        if step.step % max(1, steps // 8) == 0:
            generated = mh.sample(
                state.model,
                split.item_shape,
                schedule=schedule,
                seeds=range(200),
                sampler=mh.SamplerConfig(n_solver_steps=20),
            )
            copied = mh.memorized_fraction(mh.gap_ratios(generated, split.train))
            print(f"step {step.step}: loss {float(step.loss):.3f}, memorized {copied}")
            seen.append((step.step, copied))
            if copied.low > 0.05:  # more than one sample in twenty is a copy: stop, ship an earlier snapshot
                break
    return seen


if __name__ == "__main__":
    main()
