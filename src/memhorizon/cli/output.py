"""What commands show: how long it will take, progress, and the file to open at the end."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch

from memhorizon.cli.bars import bar
from memhorizon.cli.terminal import check_reader, say
from memhorizon.cli.typed import command
from memhorizon.devices import device_of, with_threads
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, to_json
from memhorizon.experiments.cost import costs, wall_seconds
from memhorizon.experiments.environment import timestamp
from memhorizon.experiments.executors import Executor, Inline, Local
from memhorizon.experiments.footprint import Footprint, footprints
from memhorizon.experiments.run import Progress, execute
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import SweepProgress, execute_sweep
from memhorizon.figures.reading import QUALITY_NAMES
from memhorizon.files.plain import Row, write_atomically
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.random_features import FeaturesConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.records.codec import encode
from memhorizon.records.files import load_record, to_plain, write_record
from memhorizon.records.sweep import SweepRecord
from memhorizon.report import report, sentence
from memhorizon.timescales.rules import Rules

IMAGE = b"<img "
START = 3.0  # seconds until a process of a sweep has imported torch
# Parameters below which one thread computes a network: a second one brings little, and where other programs
# are busy the two wait for each other at every step (10 to 30 times slower in a trial, dev/LOG.md).
SMALL = 2**20


@contextmanager
def fitting_threads(config: Config) -> Iterator[None]:
    """Compute a small network with one thread, unless the user has decided by OMP_NUM_THREADS."""
    is_small = "OMP_NUM_THREADS" not in os.environ and _parameters(config.model) < SMALL
    with with_threads(1 if is_small else torch.get_num_threads()):
        yield


def _parameters(model: UNetConfig | MLPConfig | FeaturesConfig) -> int:
    """Parameters of a network, but for those that depend on the size of the items."""
    item_shape = (1, 32, 32) if isinstance(model, UNetConfig) else (1,)
    return sum(parameter.numel() for parameter in model.build(item_shape, seed=0).parameters())


def follow(events: Iterator[Progress], name: str, *, quiet: bool = False) -> None:
    """Show the progress of one run, and the time that it still needs."""
    with bar(name, unit="step", quiet=quiet) as shown:
        for event in events:
            shown.total = event.steps
            shown.update(event.step - shown.n)


def follow_run(run: RunDir, *, device: str | None = None, quiet: bool = False) -> None:
    """Do one run: say how long it will take and where, then show its progress."""
    if not (quiet or run.done):
        done = run.last_step()
        begins = f"resumes after step {done:,}" if done else "begins"
        cost = next(costs([run.config], device=device))
        if isinstance(cost, InputError):  # it cannot be done
            raise cost
        about = duration(cost.seconds(run.config, done=done))
        say(f"{run.path} {begins}: about {about} on {_place(device)}")
    follow(execute(run, device=device), run.path.name, quiet=quiet)


def follow_sweep(
    configs: Sequence[Config],
    root: Path,
    *,
    executor: Executor | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> tuple[list[RunDir], str]:
    """Do the runs of a sweep and show the progress of all together.

    Returns:
        Their directories, and which runs failed and why: empty where none did.

    Raises:
        InputError: if runs failed and none has any measures.
    """
    if not quiet:
        announce(configs, root, device, executor)
    last: SweepProgress | None = None
    with bar(str(root), unit="step", quiet=quiet) as shown:
        try:
            for last in execute_sweep(configs, root=root, executor=executor, device=device):
                shown.total = last.steps
                n_done = sum(run.done for run in last.runs)
                shown.set_postfix_str(f"{n_done} of {len(last.runs)} runs done", refresh=False)
                shown.update(last.step - shown.n)
        except InputError as error:
            if last is None or not _any_measures(last.runs):
                raise
            return list(last.runs), str(error)
    return list(last.runs) if last else [], ""


def _any_measures(runs: Sequence[RunDir]) -> bool:
    """Whether a run has measures, so that there can be a page."""
    return any(os.path.isfile(run.path / "measures.jsonl") for run in runs)


def announce(
    configs: Sequence[Config], root: Path, device: str | None, executor: Executor | None = None
) -> None:
    """Say what a sweep will take, before it begins; on other machines only who does it."""
    done = [_done(root, config) for config in configs]
    left = sum(step < config.train.n_updates for step, config in zip(done, configs, strict=True))
    if not left:
        return
    if not isinstance(executor, Local | None):
        say(f"{left} of {len(configs)} runs in {root}, by {type(executor).__name__}")
        return
    at_once = _at_once(configs, executor)
    timed = costs(configs, device=device, threads=1, at_once=at_once)
    seconds = [
        0.0 if isinstance(cost, InputError) else cost.seconds(config, done=step)
        for config, step, cost in zip(configs, done, timed, strict=True)
    ]
    about = duration(_wall(configs, seconds, at_once))
    place = _place(device, threads=1)
    say(f"{left} of {len(configs)} runs in {root}: about {about}, {at_once} at once on {place} each")


def _at_once(configs: Sequence[Config], executor: Executor | None) -> int:
    """How many runs of a sweep are done at the same time, if on this machine."""
    if isinstance(executor, Inline):
        return 1
    here = executor if isinstance(executor, Local) else Local()
    return min(len(here.places()), len(configs))


def _wall(configs: Sequence[Config], seconds: Sequence[float], at_once: int) -> float:
    """Seconds until all runs of a sweep are done: the one with the most steps begins first."""
    order = sorted(range(len(configs)), key=lambda k: -configs[k].train.n_updates)
    return START + wall_seconds([seconds[k] for k in order], at_once)


def _done(root: Path, config: Config) -> int:
    """Updates that the run of a configuration has done already."""
    run = RunDir(root / config.key)
    return config.train.n_updates if run.done else run.last_step()


def _place(device: str | None, threads: int | None = None) -> str:
    """Where it computes, in words."""
    found = device_of(device)
    if found.type != "cpu":
        return str(found)
    threads = threads or torch.get_num_threads()
    return f"the CPU with {threads} thread{'s' if threads > 1 else ''}"


def dry_run(
    configs: Sequence[Config],
    root: Path,
    *,
    device: str | None = None,
    side_by_side: bool = False,
    executor: Executor | None = None,
    estimate: bool = True,
    as_json: bool = False,
    quiet: bool = False,
) -> int:
    """Show what would be run and, unless it is meant for another machine, what it would take here.

    Args:
        configs: the runs.
        root: where they would be.
        device: on which they would compute.
        side_by_side: whether they would be done at once, as in a sweep.
        executor: who would do them; with one of other machines it is said what each run needs there.
        estimate: whether to look how long they take, and what they need of memory and disk.
        as_json: print one object.
        quiet: show no progress.
    """
    check_reader()
    answer: Row = {"root": str(root), "runs": [{"key": config.key} for config in configs]}
    at_once = _at_once(configs, executor) if side_by_side else 1
    if estimate:
        beside = {"at_once": at_once, "side_by_side": side_by_side}
        answer = _estimated(answer, configs, root, device, **beside, quiet=quiet)
    if as_json:
        print(json.dumps(_with_configs(answer, configs)))
        return 0
    for row, config in zip(answer["runs"], configs, strict=True):
        print(f"{row['key']}{_about(row)}\n{to_json(config)}")
    beside = f", {at_once} at once" if side_by_side else ""
    where = f"{beside} on {_place(device, 1 if side_by_side else None)}" if estimate else ""
    print(f"{len(configs)} run{'' if len(configs) == 1 else 's'} in {root}{_about(answer)}{where}")
    if estimate and not isinstance(executor, Local | Inline | None):
        print_needs(answer["runs"], type(executor).__name__)
    return 0


def print_needs(rows: Sequence[Row], executor: str) -> None:
    """Say what a run needs on another machine: the most of each that one of them needs."""
    most = {name: max(row[name] for row in rows) for name in ("seconds", "memory", "disk", "device_memory")}
    print(f"by {executor} each run needs at most{_about(most)[1:]}, if a core there is as fast as one here")


def _estimated(
    answer: Row,
    configs: Sequence[Config],
    root: Path,
    device: str | None,
    *,
    at_once: int,
    side_by_side: bool,
    quiet: bool,
) -> Row:
    """The answer with how long each run takes, and all of them, and where."""
    seconds = _estimates(configs, root, device, at_once, 1 if side_by_side else None, quiet=quiet)
    needs = _needs(configs, device, quiet=quiet)
    rows = [
        row | {"seconds": took + need.start if took else 0.0, **asdict(need)}
        for row, took, need in zip(answer["runs"], seconds, needs, strict=True)
    ]
    largest = sorted((need.memory for need in needs), reverse=True)[:at_once]
    wall = _wall(configs, seconds, at_once) if side_by_side else seconds[0]
    return answer | {
        "seconds": wall + needs[0].start,
        "memory": sum(largest),
        "disk": sum(need.disk for need in needs),
        "device": str(device_of(device)),
        "at_once": at_once,
        "runs": rows,
    }


def _needs(configs: Sequence[Config], device: str | None, *, quiet: bool) -> list[Footprint]:
    """What each run needs of memory and disk, shown as it is found.

    Raises:
        InputError: if a run cannot be done.
    """
    found = []
    with bar("memory and disk", unit="run", total=len(configs), quiet=quiet) as shown:
        for need in footprints(configs, device=device):
            if isinstance(need, InputError):
                raise need
            found.append(need)
            shown.update()
    return found


def _about(row: Row) -> str:
    """What something takes, in words; nothing where that was not estimated."""
    if "seconds" not in row:
        return ""
    words = [duration(row["seconds"]), f"{size(row['memory'])} of memory", f"{size(row['disk'])} of disk"]
    if row.get("device_memory"):
        words.insert(2, f"{size(row['device_memory'])} of the GPU's")
    return f": about {', '.join(words)}"


def size(count: int) -> str:
    """Bytes in the unit that one would use.

    >>> size(900), size(52_000_000), size(3_200_000_000)
    ('1 kB', '52 MB', '3.2 GB')
    """
    if count < 1e6:
        return f"{math.ceil(count / 1e3)} kB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _with_configs(answer: Row, configs: Sequence[Config]) -> Row:
    """The answer with the whole configuration of each run."""
    rows = zip(answer["runs"], configs, strict=True)
    return answer | {"runs": [row | {"config": encode(config)} for row, config in rows]}


def _estimates(
    configs: Sequence[Config],
    root: Path,
    device: str | None,
    at_once: int,
    threads: int | None,
    *,
    quiet: bool = False,
) -> list[float]:
    """Seconds that each run will take from where it is, shown as they are found.

    Raises:
        InputError: if a run cannot be done.
    """
    timed = costs(configs, device=device, threads=threads, at_once=at_once)
    seconds = []
    with bar("estimate", unit="run", total=len(configs), quiet=quiet) as shown:
        for config in configs:
            cost = next(timed)
            if isinstance(cost, InputError):
                raise cost
            seconds.append(cost.seconds(config, done=_done(root, config)))
            shown.update()
    return seconds


def sweep_seconds(
    configs: Sequence[Config], root: Path, device: str | None = None, executor: Executor | None = None
) -> float:
    """Seconds until the runs of a sweep would be done here, from where they are; nothing is shown.

    Raises:
        InputError: if a run cannot be done.
    """
    at_once = _at_once(configs, executor)
    return _wall(configs, _estimates(configs, root, device, at_once, 1, quiet=True), at_once)


def duration(seconds: float) -> str:
    """Seconds in the unit that one would use.

    >>> duration(7.4), duration(600.0), duration(9000.0), duration(1e6)
    ('7 s', '10 min', '2.5 h', '11.6 days')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def finish(
    made: SweepRecord, runs: Sequence[RunDir], folder: Path, *, failed: str = "", as_json: bool = False
) -> int:
    """Write record and page, name the file to open, and say what is missing.

    Returns:
        The exit status: 1 where runs failed or are left out.
    """
    made = stamped(made)
    write_record(made, folder / "record.json")
    page = folder / "report.html"
    write_atomically(page, report(made, runs).encode())
    if as_json:
        print(json.dumps(to_plain(made)))
    else:
        print(f"{sentence(made)}\n{rule_text(made.rules)}\nopen {page}")
    _say_what_is_apart(made)
    if failed:
        say(f"memhorizon: {failed}")
    return 1 if failed or made.left_out else 0


def _say_what_is_apart(made: SweepRecord) -> None:
    """Name the runs that do not compare with the others, and those that could not be read."""
    for other in made.others:
        entries = ", ".join(f"{name} = {value}" for name, value in other.differs.items())
        say(f"apart on the page, for they do not compare: {len(other.runs)} of the runs, with {entries}")
    for run in made.left_out:
        say(f"left out: {run.key}: {run.reason}")


def page_beside(path: Path, *, as_json: bool = False) -> int:
    """Write the page of a record beside its file, and name the file to open.

    Raises:
        InputError: if a page with images is there, which a record does not hold, or it is no record.
    """
    made = load_record(path)
    page = path.with_suffix(".html")
    content = report(made).encode()
    if page.is_file() and IMAGE not in content and IMAGE in page.read_bytes():
        raise InputError(f"path: {page} is there with images, which the record does not hold: move it first")
    write_atomically(page, content)
    print(json.dumps(to_plain(made)) if as_json else f"{sentence(made)}\nopen {page}")
    return 0


def stamped(made: SweepRecord) -> SweepRecord:
    """The record with the time when it was made, and the command that made it."""
    return replace(made, command=command(), made=timestamp())


def rule_text(rules: Rules) -> str:
    """Say how both times were read.

    >>> rule_text(Rules(t=0.3))
    'tau_gen: held-out loss at t = 0.3, 5% above the worst run; tau_mem: f_mem 0.1 above its null'
    """
    quality = QUALITY_NAMES.get(rules.quality, rules.quality)
    where = "" if rules.t is None else f" at t = {rules.t:g}"
    level = f"{100 * rules.tolerance:.3g}% above the {rules.relative_to} run"  # above its best value
    return f"tau_gen: {quality}{where}, {level}; tau_mem: f_mem {rules.memorized:g} above its null"
