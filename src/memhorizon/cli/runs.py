"""Commands that train and measure."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from memhorizon.cli.output import dry_run as show_dry_run
from memhorizon.cli.output import finish, follow, follow_sweep
from memhorizon.experiments import demo as demo_recipe
from memhorizon.experiments.config import Config, from_json
from memhorizon.experiments.record import Rules, record
from memhorizon.experiments.run import execute
from memhorizon.experiments.run import measure as measure_again
from memhorizon.experiments.rundir import RunDir
from memhorizon.experiments.sweep import grid
from memhorizon.results import InputError

Positional = tyro.conf.Positional


def demo(root: Path = Path("demo"), json: bool = False) -> int:
    """Train on real digits at several n, see both clocks; ends with the page to open.

    Args:
        root: where runs and page go.
        json: print the record instead of a sentence.
    """
    started = time.monotonic()
    runs = follow_sweep(demo_recipe.configs(), root)
    made = record(runs, demo_recipe.RULES, name="demo", command="memhorizon demo")
    made["seconds"] = time.monotonic() - started
    return finish(made, runs, root, json)


def train(
    config: Annotated[Config, tyro.conf.arg(name="")],
    root: Path = Path("runs"),
    load: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Train one network and measure its snapshots; the same command resumes.

    Args:
        config: what to train on what.
        root: run directories are made in here.
        load: a config.json to use instead of the flags.
        dry_run: print the configuration and the estimated time, and stop.
        json: print the record.
    """
    config = from_json(load.read_text()) if load else config
    if dry_run:
        return show_dry_run([config])
    run = RunDir.create(root, config)
    follow(execute(run), f"{run.path.name}")
    return finish(record([run], name=run.path.name), [run], run.path, json)


def sweep(
    config: Annotated[Config, tyro.conf.arg(name="")],
    n_train: tuple[int, ...] = (16, 32, 64),
    width: tuple[int, ...] = (),
    seeds: tuple[int, ...] = (0,),
    root: Path = Path("runs"),
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Train all combinations of n_train, width and seed, one process per core; the same command resumes.

    Args:
        config: what all of them share.
        n_train: training-set sizes.
        width: network widths; empty for the configuration's own.
        seeds: each has its own weights, noise and training items.
        root: run directories are made in here.
        dry_run: print the configurations and the estimated time, and stop.
        json: print the record.
    """
    axes = {"n_train": n_train, "seed": seeds} | ({"width": width} if width else {})
    configs = grid(config, **axes)
    if dry_run:
        return show_dry_run(configs)
    runs = follow_sweep(configs, root)
    return finish(record(runs, name=root.name), runs, root, json)


def measure(path: Positional[Path], n_samples: int | None = None, sampler_steps: int | None = None) -> int:
    """Measure the snapshots of a run again, with other numbers of samples or solver steps.

    Args:
        path: the run directory.
        n_samples: samples per snapshot.
        sampler_steps: solver steps of the sampler.
    """
    run = RunDir.open(path)
    given = {"n_samples": n_samples, "sampler_steps": sampler_steps}
    changed = replace(run.config.measure, **{k: v for k, v in given.items() if v is not None})
    follow(measure_again(run, replace(run.config, measure=changed)), run.path.name)
    print(f"measured again: {run.path / 'measures.jsonl'}")
    return 0


def watch(path: Positional[Path], once: bool = False) -> int:
    """Show the progress of the runs in a directory until they are done.

    Args:
        path: a run directory, or a directory of them.
        once: show it once and stop.
    """
    while True:
        runs = _runs_in(path)
        for run in runs:
            steps, last = run.config.train.steps, (run.steps() or [{"step": 0, "loss": float("nan")}])[-1]
            seen = [row for row in run.measures() if row["measure"] == "memorized"]
            copied = f"f_mem {seen[-1]['value']:.3f} at {seen[-1]['step']:,}" if seen else "not yet measured"
            state = "done" if run.done else f"{last['step']:,} of {steps:,}, loss {last['loss']:.4f}"
            print(f"{run.path.name}: {state}, {copied}")
        if once or all(run.done for run in runs):
            return 0
        time.sleep(5)


def report(path: Positional[Path], json: bool = False) -> int:
    """Write one page about a run or a directory of runs.

    Args:
        path: a run directory, or a directory of them.
        json: print the record.
    """
    runs = _runs_in(path)
    return finish(record(runs, Rules(), name=path.name), runs, path, json)


def _runs_in(path: Path) -> list[RunDir]:
    if (path / "config.json").is_file():
        return [RunDir(path)]
    runs = [RunDir(found.parent) for found in sorted(path.glob("*/config.json"))]
    if not runs:
        raise InputError(f"path: expected a run directory or a directory of them, got {str(path)!r}")
    return runs


def commands(_: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name."""
    return [(command.__name__, command) for command in (demo, train, sweep, measure, watch, report)]
