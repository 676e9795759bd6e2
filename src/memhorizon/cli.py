"""The command line: `memhorizon --help`. The only module that prints.

Exit status: 0 fine, 1 the answer is a warning, 2 bad input, 130 interrupted.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from memhorizon.experiments import demo as demo_recipe
from memhorizon.experiments.config import Config, from_json, to_json
from memhorizon.experiments.record import Rules, record
from memhorizon.experiments.run import Progress, execute
from memhorizon.experiments.run import measure as measure_again
from memhorizon.experiments.rundir import RunDir, write_atomically
from memhorizon.experiments.sweep import SweepProgress, execute_sweep, grid
from memhorizon.report import report as html_report
from memhorizon.results import InputError, MissingExtraError

app = tyro.extras.SubcommandApp()
Positional = tyro.conf.Positional


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    try:
        return app.cli(prog="memhorizon", args=arguments) or 0
    except (InputError, MissingExtraError) as error:
        print(f"memhorizon: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"memhorizon: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmemhorizon: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


@app.command
def demo(root: Path = Path("demo"), json: bool = False) -> int:
    """Train on real digits at several n, see both clocks; ends with the page to open.

    Args:
        root: where runs and page go.
        json: print the record instead of a sentence.
    """
    started = time.monotonic()
    runs = _follow_sweep(demo_recipe.configs(), root)
    made = record(runs, demo_recipe.RULES, name="demo", command="memhorizon demo")
    made["seconds"] = time.monotonic() - started
    return _finish(made, runs, root, json)


@app.command
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
        return _dry_run([config])
    run = RunDir.create(root, config)
    _follow(execute(run), f"{run.path.name}")
    return _finish(record([run], name=run.path.name), [run], run.path, json)


@app.command
def sweep(
    config: Annotated[Config, tyro.conf.arg(name="")],
    n_train: tuple[int, ...] = (16, 32, 64),
    width: tuple[int, ...] = (),
    seed: tuple[int, ...] = (0,),
    root: Path = Path("runs"),
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Train all combinations of n_train, width and seed, one process per core; the same command resumes.

    Args:
        config: what all of them share.
        n_train: training-set sizes.
        width: network widths; empty for the configuration's own.
        seed: seeds; each has its own weights, noise and training items.
        root: run directories are made in here.
        dry_run: print the configurations and the estimated time, and stop.
        json: print the record.
    """
    axes = {"n_train": n_train, "seed": seed} | ({"width": width} if width else {})
    configs = grid(config, **axes)
    if dry_run:
        return _dry_run(configs)
    runs = _follow_sweep(configs, root)
    return _finish(record(runs, name=root.name), runs, root, json)


@app.command
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
    _follow(measure_again(run, replace(run.config, measure=changed)), run.path.name)
    print(f"measured again: {run.path / 'measures.jsonl'}")
    return 0


@app.command
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


@app.command
def report(path: Positional[Path], json: bool = False) -> int:
    """Write one page about a run or a directory of runs.

    Args:
        path: a run directory, or a directory of them.
        json: print the record.
    """
    runs = _runs_in(path)
    return _finish(record(runs, Rules(), name=path.name), runs, path, json)


def _runs_in(path: Path) -> list[RunDir]:
    if (path / "config.json").is_file():
        return [RunDir(path)]
    runs = [RunDir(found.parent) for found in sorted(path.glob("*/config.json"))]
    if not runs:
        raise InputError(f"path: expected a run directory or a directory of them, got {str(path)!r}")
    return runs


def _follow(events: Iterator[Progress], name: str) -> None:
    with tqdm(desc=name, unit="step", dynamic_ncols=True) as bar:
        for event in events:
            bar.total = event.steps
            bar.update(event.step - bar.n)


def _follow_sweep(configs: Sequence[Config], root: Path) -> list[RunDir]:
    last: SweepProgress | None = None
    with tqdm(desc=str(root), unit="step", dynamic_ncols=True) as bar:
        for last in execute_sweep(configs, root=root):
            bar.total = last.steps
            bar.update(last.step - bar.n)
            bar.set_postfix_str(f"{sum(run.done for run in last.runs)} of {len(last.runs)} runs done")
    return list(last.runs) if last else []


def _dry_run(configs: Sequence[Config]) -> int:
    for config in configs:
        print(to_json(config))
    return 0


def _finish(made: dict[str, Any], runs: Sequence[RunDir], folder: Path, as_json: bool) -> int:
    write_atomically(folder / "record.json", json.dumps(made, indent=1).encode())
    page = folder / "report.html"
    write_atomically(page, html_report(made, runs).encode())
    if as_json:
        print(json.dumps(made))
    else:
        print(f"open {page}")
    return 0
