"""What commands show: how long it will take, progress, and the file to open at the end."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from memhorizon.cli.typed import command
from memhorizon.devices import device_of
from memhorizon.experiments.config import Config, to_json
from memhorizon.experiments.estimate import cores, costs, wall_seconds
from memhorizon.experiments.run import Progress, execute
from memhorizon.experiments.rundir import Row, RunDir, write_atomically
from memhorizon.experiments.sweep import SweepProgress, execute_sweep
from memhorizon.figures.clocks import QUALITY_LABELS
from memhorizon.report import report, sentence
from memhorizon.results import InputError

LARGEST = 2**28  # bytes of a JSON file that is read; ours are below 2**23


def say(text: str) -> None:
    """Say something beside the answer, on the error stream."""
    print(text, file=sys.stderr)


def follow(events: Iterator[Progress], name: str, *, quiet: bool = False) -> None:
    """Show the progress of one run, and the time that it still needs."""
    with tqdm(desc=name, unit="step", dynamic_ncols=True, disable=quiet) as bar, enough_memory():
        for event in events:
            bar.total = event.steps
            bar.update(event.step - bar.n)


def follow_run(run: RunDir, *, device: str | None = None, quiet: bool = False) -> None:
    """Do one run: say how long it will take and where, then show its progress."""
    if not (quiet or run.done):
        done = run.last_step()
        seconds = next(_seconds([run.config], device, [done]))
        begins = f"goes on after step {done:,}" if done else "begins"
        say(f"{run.path} {begins}: about {duration(seconds)} on {_place(device)}")
    follow(execute(run, device=device), run.path.name, quiet=quiet)


def follow_sweep(
    configs: Sequence[Config], root: Path, *, device: str | None = None, quiet: bool = False
) -> tuple[list[RunDir], str]:
    """Do the runs of a sweep and show the progress of all together.

    Returns:
        Their directories, and which runs failed and why: empty where none did.
    """
    if not quiet:
        _announce(configs, root, device)
    last: SweepProgress | None = None
    with tqdm(desc=str(root), unit="step", dynamic_ncols=True, disable=quiet) as bar:
        try:
            for last in execute_sweep(configs, root=root, device=device):
                bar.total = last.steps
                bar.update(last.step - bar.n)
                bar.set_postfix_str(f"{sum(run.done for run in last.runs)} of {len(last.runs)} runs done")
        except InputError as error:
            if last is None or not any(outcome.error for outcome in last.outcomes):
                raise  # refused before the first run, not failed
            return list(last.runs), str(error)
    return list(last.runs) if last else [], ""


def _announce(configs: Sequence[Config], root: Path, device: str | None) -> None:
    """Say what a sweep will take, before it begins."""
    done = [_done(root, config) for config in configs]
    if all(step >= config.train.steps for step, config in zip(done, configs, strict=True)):
        return
    seconds = list(_seconds(configs, device, done, at_once=min(cores(), len(configs))))
    about = duration(wall_seconds(_longest_first(configs, seconds), cores()))
    say(
        f"{len(configs)} runs in {root}, {cores()} at once: about {about} on {_place(device, threads=1)} each"
    )


def _done(root: Path, config: Config) -> int:
    """Updates that the run of a configuration has done already."""
    run = RunDir(root / config.key)
    return config.train.steps if run.done else run.last_step()


def _longest_first(configs: Sequence[Config], seconds: Sequence[float]) -> list[float]:
    """Seconds in the order in which a sweep begins its runs."""
    pairs = sorted(zip(configs, seconds, strict=True), key=lambda pair: -pair[0].train.steps)
    return [own for _, own in pairs]


def _seconds(
    configs: Sequence[Config], device: str | None, done: Sequence[int], *, at_once: int = 0
) -> Iterator[float]:
    """Seconds that each run still takes; of single-threaded ones side by side where `at_once` is given."""
    alone = {"threads": 1, "at_once": at_once} if at_once else {}
    with enough_memory():
        for config, step, cost in zip(configs, done, costs(configs, device=device, **alone), strict=True):
            yield cost.seconds(config, done=step)


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
    estimate: bool = True,
    as_json: bool = False,
) -> int:
    """Show what would be run and, unless it is meant for another machine, how long it would take here."""
    answer: Row = {"root": str(root), "runs": [{"key": config.key} for config in configs]}
    if estimate:
        at_once = min(cores(), len(configs)) if side_by_side else 0
        timed = _seconds(configs, device, [_done(root, config) for config in configs], at_once=at_once)
        seconds = list(tqdm(timed, desc="estimate", total=len(configs), unit="run", dynamic_ncols=True))
        wall = wall_seconds(_longest_first(configs, seconds), cores() if side_by_side else 1)
        answer |= {"seconds": wall, "device": str(device_of(device)), "at_once": max(at_once, 1)}
        answer["runs"] = [row | {"seconds": own} for row, own in zip(answer["runs"], seconds, strict=True)]
    if as_json:
        entries = [
            row | {"config": json.loads(to_json(c))} for row, c in zip(answer["runs"], configs, strict=True)
        ]
        print(json.dumps(answer | {"runs": entries}))
        return 0
    for row, config in zip(answer["runs"], configs, strict=True):
        about = f": about {duration(row['seconds'])}" if estimate else ""
        print(f"{row['key']}{about}\n{to_json(config)}")
    total = f"{len(configs)} run{'s' if len(configs) > 1 else ''} in {root}"
    if estimate:
        beside = f", {cores()} at once" if side_by_side else ""
        place = _place(device, threads=1 if side_by_side else None)
        total += f"{beside}: about {duration(answer['seconds'])} on {place}"
    print(total)
    return 0


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
    made: Row, runs: Sequence[RunDir], folder: Path, *, failed: str = "", as_json: bool = False
) -> int:
    """Write record and page, name the file to open, and say what is missing.

    Returns:
        The exit status: 1 where runs failed.
    """
    made |= stamp()
    write_atomically(folder / "record.json", json.dumps(made, indent=1).encode())
    page = folder / "report.html"
    write_atomically(page, report(made, runs).encode())
    if as_json:
        print(json.dumps(made))
    else:
        print(f"{sentence(made)}\n{rule_text(made['rules'])}\nopen {page}")
    for row in made.get("left_out", []):
        say(f"left out: {row['key']}: {row['reason']}")
    if failed:
        say(f"memhorizon: {failed}")
    return 1 if failed else 0


def stamp() -> Row:
    """When a record was made, and by which command."""
    now = datetime.now(timezone.utc)
    return {"command": command(), "date": now.isoformat(timespec="seconds")}


def rule_text(rules: Mapping[str, Any]) -> str:
    """Say how both times were read.

    >>> rule_text({"quality": "holdout", "t": 0.3, "tolerance": 0.05, "memorized": 0.1})
    'tau_gen: held-out loss at t = 0.3 within 5% of the worst best; tau_mem: f_mem 0.1 above its null'
    """
    quality = QUALITY_LABELS.get(rules["quality"], rules["quality"])
    where = "" if rules["t"] is None else f" at t = {rules['t']:g}"
    level = f"within {100 * rules['tolerance']:.3g}% of the worst best"
    return f"tau_gen: {quality}{where} {level}; tau_mem: f_mem {rules['memorized']:g} above its null"


def read_json(path: Path) -> Any:
    """Read a JSON file that may be anything.

    Raises:
        InputError: naming the file, if it is no ordinary one, too large or no JSON.
    """
    return parse(read_text(path), path)


def parse(text: str, path: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: naming the file that it came from.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"file: expected JSON in {path}, got {text[:40]!r} ({str(error)[:80]})") from error


def read_text(path: Path) -> str:
    """Read a file that may be anything.

    Raises:
        InputError: naming the file, if it is no ordinary one, too large or no UTF-8.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"file: expected an ordinary one, got {str(path)!r}")
    if path.stat().st_size > LARGEST:
        raise InputError(f"file: expected at most {LARGEST:,} bytes, got more in {path}")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"file: expected UTF-8 in {path}, got other bytes ({error})") from error


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn a lack of memory into a sentence with what to do.

    Raises:
        InputError: if the memory did not suffice.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        reason = str(error).strip().splitlines()[:1]
        raise InputError(
            "memory: not enough of it; a smaller --train.batch-size, --model.width, --data.n-train or "
            f"--measure.n-samples needs less {reason}"
        ) from error
