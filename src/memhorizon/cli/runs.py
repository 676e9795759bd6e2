"""Commands that train and measure."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from memhorizon.cli.axes import axes_of_words
from memhorizon.cli.dry_running import Proposal
from memhorizon.cli.dry_running import dry_run as show_dry_run
from memhorizon.cli.executing import ExecutorFlags
from memhorizon.cli.finishing import finish, page_beside
from memhorizon.cli.following import follow, follow_run, follow_sweep
from memhorizon.cli.loading import check_order, config_in, file_of_load
from memhorizon.cli.monitored import is_monitored, report_monitor, watch_monitor
from memhorizon.cli.rules import RuleFlags
from memhorizon.cli.threads import fitting_threads
from memhorizon.cli.typed import remember, words
from memhorizon.cli.watched import watch_runs
from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments import demo as demo_recipe
from memhorizon.experiments.config import Config
from memhorizon.experiments.record import read_again, record
from memhorizon.experiments.rules import check_rules, planned_rules, rules_of
from memhorizon.experiments.run import measure as measure_again
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import grid
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.schedule import ScheduleConfig
from memhorizon.sweeps import find_runs
from memhorizon.timescales.rules import Rules
from memhorizon.training import OptimizerConfig, TrainConfig

Positional = tyro.conf.Positional

# What `train` and `sweep` do without flags: the demo's network, minutes on two cores, where the classes have
# the paper's sizes.
DEFAULT = Config(
    data=DataConfig(name="digits", n_train=64, n_holdout=256),
    model=demo_recipe.NETWORK,
    optimizer=demo_recipe.OPTIMIZER,
    train=TrainConfig(n_updates=3000, batch_size=32),
    measure=demo_recipe.MEASURE,
)


@dataclass(frozen=True)
class Shared:
    """What all runs of a sweep share: a configuration without its seed.

    Attributes:
        data: which items, how many.
        model: which network.
        schedule: which noise schedule.
        optimizer: which optimizer.
        train: how long.
        measure: what is looked at, and when.
    """

    data: DataConfig = DEFAULT.data
    model: UNetConfig | MLPConfig | FeaturesConfig = field(default_factory=lambda: DEFAULT.model)
    schedule: ScheduleConfig = DEFAULT.schedule
    optimizer: OptimizerConfig = DEFAULT.optimizer
    train: TrainConfig = DEFAULT.train
    measure: MeasureConfig = DEFAULT.measure


def demo(
    root: Path = Path("demo"), device: str | None = None, json: bool = False, quiet: bool = False
) -> int:
    """Train on handwritten digits at several n and show both timescales, in a few minutes.

    Args:
        root: where runs and page go.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        json: print the record instead of a sentence.
        quiet: show no progress.
    """
    started = time.monotonic()
    runs, failed = follow_sweep(demo_recipe.configs(), root, device=device, quiet=quiet)
    made = record(runs, demo_recipe.RULES, name="demo")
    made = replace(made, seconds=time.monotonic() - started)
    return finish(made, runs, root, failed=failed, as_json=json)


def train(
    config: Annotated[Config, tyro.conf.arg(name="")] = DEFAULT,
    root: Path = Path("runs"),
    load: Path | None = None,
    rules: RuleFlags = RuleFlags(),  # noqa: B008 - frozen
    device: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Train one network and measure its snapshots; the same command resumes.

    Without flags: a small U-Net on 64 handwritten digits, one or two minutes on two cores. The options of a
    network come last, after its name: `train --train.n_updates 2000 model:mlp-config --model.width 64`.

    Args:
        config: what to train on what.
        root: run directories are made in here.
        load: a config.json to begin from; flags beside it win over what it says.
        rules: how the two times are read.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        dry_run: print the configuration and what it takes (time, memory, disk), and stop.
        json: print the record.
        quiet: show no progress.
    """
    asked = _asked([config], rules)
    with fitting_threads(config):
        if dry_run:
            return show_dry_run(Proposal([config], root, device), as_json=json, quiet=quiet)
        run = RunDir.create(root, config)
        follow_run(run, device=device, quiet=quiet)
    made = record([run], asked, name=run.path.name)
    return finish(made, [run], run.path, as_json=json)


def sweep(
    shared: Annotated[Shared, tyro.conf.arg(name="")] = Shared(),  # noqa: B008 - frozen
    n_train: tuple[int, ...] = (),
    width: tuple[int, ...] = (),
    seed: Annotated[tuple[int, ...], tyro.conf.arg(aliases=["--seeds"])] = (),
    over: tuple[str, ...] = (),
    root: Path = Path("runs"),
    load: Path | None = None,
    rules: RuleFlags = RuleFlags(),  # noqa: B008 - frozen
    by: Annotated[ExecutorFlags, tyro.conf.arg(name="")] = ExecutorFlags(),  # noqa: B008 - frozen
    device: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Train all combinations of the axes, one process per core; the same command resumes.

    For example `sweep --n-train 16 32 64 --seed 0 1` or
    `sweep --over optimizer.name=sgd,adam optimizer.lr=1e-3,1e-2`. On a cluster:
    `sweep --n-train 16 32 64 --executor slurm --partition gpu --gpus 1 --time 4h`.

    Args:
        shared: what all runs share; without flags a small U-Net on handwritten digits, as in `train`.
        n_train: training-set sizes.
        width: network widths.
        seed: each has other weights, noise and training items.
        over: further axes, any field of the configuration: NAME=VALUE,VALUE.
        root: run directories are made in here.
        load: a config.json to begin from; flags beside it win over what it says.
        rules: how the two times are read.
        by: who does the runs.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        dry_run: print the configurations and what each takes (time, memory, disk), and stop.
        json: print the record.
        quiet: show no progress.
    """
    configs = _grid_of(shared, {"n_train": n_train, "width": width, "seed": seed}, over)
    asked = _asked(configs, rules)
    executor = by.build()
    if dry_run:
        proposal = Proposal(configs, root, device, side_by_side=True, executor=executor)
        return show_dry_run(proposal, as_json=json, quiet=quiet)
    runs, failed = follow_sweep(configs, root, executor=executor, device=device, quiet=quiet)
    made = record(runs, asked, name=root.absolute().name)
    return finish(made, runs, root, failed=failed, as_json=json)


def _asked(configs: Sequence[Config], given: RuleFlags) -> Rules | None:
    """The rules that were asked for; None where none were.

    Raises:
        InputError: if a run will not have the curve that they name.
    """
    if not given.are_given:
        return None
    asked = given.over(planned_rules(configs))
    check_rules(configs, asked)
    return asked


def _grid_of(shared: Shared, flags: dict[str, tuple[int, ...]], over: Sequence[str]) -> list[Config]:
    """The configurations of a sweep.

    Raises:
        InputError: if there is no axis, or one is given twice.
    """
    axes = {axis: values for axis, values in flags.items() if values}
    further = axes_of_words(over)
    if twice := sorted(set(axes) & set(further)):
        raise InputError(f"over: expected axes that are not given already, got {', '.join(twice)} twice")
    axes |= further
    if not axes:
        raise InputError("n_train, width, seed, over: expected at least one axis, such as --n-train 16 32 64")
    _check_given_once(axes)
    return grid(Config(**vars(shared)), **axes)


def _check_given_once(axes: Iterable[str]) -> None:
    """Refuse an axis beside the flag of its one value."""
    given = {word.split("=")[0].replace("_", "-") for word in words()}
    for axis, flag in (("n_train", "--data.n-train"), ("width", "--model.width")):
        if axis in axes and flag in given:
            raise InputError(f"{axis}: expected the axis or {flag}, got both")


def loaded(command: Callable[..., int], arguments: Sequence[str]) -> Callable[..., int]:
    """The command with the file of --load in place of its default, so that flags win over the file.

    Raises:
        InputError: if the file is no configuration.
    """
    path = file_of_load(arguments)
    if path is None:
        return command
    config = config_in(path)
    if command is not sweep:
        return partial(command, config=config)
    entries = dict(vars(config))
    seed = entries.pop("seed")
    return partial(command, shared=Shared(**entries), seed=(seed,))


def measure(
    path: Positional[Path],
    n_samples: int | None = None,
    n_solver_steps: int | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> int:
    """Measure the snapshots of a run again, with other numbers of samples or solver steps.

    Args:
        path: the run directory.
        n_samples: samples per snapshot.
        n_solver_steps: solver steps of the sampler.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        quiet: show no progress.
    """
    run = RunDir.open(path)
    settings = _with_numbers(run.config.measure, n_samples, n_solver_steps)
    again = measure_again(run, replace(run.config, measure=settings), device=device)
    follow(again, run.path.name, quiet=quiet)
    print(f"measured again: {run.path / 'measures.jsonl'}; for a new page: memhorizon report {run.path}")
    return 0


def _with_numbers(
    settings: MeasureConfig, n_samples: int | None, n_solver_steps: int | None
) -> MeasureConfig:
    """The settings with the numbers that are given."""
    if n_samples is not None:
        settings = replace(settings, n_samples=n_samples)
    if n_solver_steps is not None:
        settings = replace(settings, sampler=replace(settings.sampler, n_solver_steps=n_solver_steps))
    return settings


def watch(path: Positional[Path], once: bool = False) -> int:
    """Show the progress of the runs in a directory, or of a monitored training.

    Runs are shown until they are done or Ctrl-C is typed.

    Args:
        path: a run directory, a directory of them, or the folder (root) of a monitor.
        once: show it once and stop.
    """
    if is_monitored(path):
        return watch_monitor(path, once=once)
    return watch_runs(path, once=once)


def report(path: Positional[Path], rules: RuleFlags = RuleFlags(), json: bool = False) -> int:  # noqa: B008
    """Write one page about a run, a directory of runs, a monitored training, or a record.

    Args:
        path: a run directory, a directory of them, the folder (root) of a monitor, or the file of a record;
            the page of a record is written beside it, without images.
        rules: how the two times are read; by default as in the record, or in the one beside the runs.
        json: print the record.
    """
    if path.suffix == ".json" and not path.is_dir():
        return page_beside(path, rules, as_json=json)
    if is_monitored(path):
        if rules.are_given:
            raise InputError("rules: expected none with the folder of a monitor, which reads no timescales")
        return report_monitor(path, as_json=json)
    runs = find_runs(path)
    made = record(runs, rules_of(path), name=path.absolute().name)
    if rules.are_given:
        made = read_again(made, rules.over(made.rules))
    return finish(made, runs, path, as_json=json)


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name, for what was typed."""
    remember(arguments)
    called = arguments[0] if arguments else ""
    if called in ("train", "sweep"):
        check_order(arguments)
    every = (demo, train, sweep, measure, watch, report)
    takes_file = (train, sweep)
    return [
        (c.__name__, loaded(c, arguments) if c in takes_file and c.__name__ == called else c) for c in every
    ]
