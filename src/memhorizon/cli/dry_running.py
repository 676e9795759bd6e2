"""What would be run, and what it would take here, without running it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from memhorizon.cli.estimating import needs_of, place_of, runs_at_once, seconds_of, wall_of
from memhorizon.cli.terminal import check_reader
from memhorizon.cli.units import duration, size
from memhorizon.devices import device_of
from memhorizon.experiments.config import Config, to_json
from memhorizon.experiments.executors import Executor, Inline, Local
from memhorizon.files.plain import Row
from memhorizon.records.codec import encode
from memhorizon.report.words import counted


@dataclass(frozen=True)
class Proposal:
    """Runs that would be done.

    Attributes:
        configs: of the runs.
        root: where they would be.
        device: on which they would compute; None for the accelerator of the machine.
        side_by_side: whether they would be done at once, as in a sweep.
        executor: who would do them; with one of other machines it is said what each run needs there.
    """

    configs: Sequence[Config]
    root: Path
    device: str | None = None
    side_by_side: bool = False
    executor: Executor | None = None

    @property
    def at_once(self) -> int:
        """How many would be done at the same time."""
        return runs_at_once(self.configs, self.executor) if self.side_by_side else 1

    @property
    def threads(self) -> int | None:
        """Threads of each run; None for as many as torch has."""
        return 1 if self.side_by_side else None

    @property
    def is_for_other_machines(self) -> bool:
        """Whether the executor is one of other machines."""
        return not isinstance(self.executor, Local | Inline | None)


def dry_run(proposal: Proposal, *, estimate: bool = True, as_json: bool = False, quiet: bool = False) -> int:
    """Show what would be run and, unless it is meant for another machine, what it would take here.

    Args:
        proposal: the runs.
        estimate: whether to look how long they take, and what they need of memory and disk.
        as_json: print one object.
        quiet: show no progress.
    """
    check_reader()
    at_once = proposal.at_once  # found in any case: not every machine has what an executor asks for
    answer: Row = {
        "root": str(proposal.root),
        "runs": [{"key": config.key} for config in proposal.configs],
    }
    if estimate:
        answer = _estimated(answer, proposal, at_once, quiet=quiet)
    if as_json:
        print(json.dumps(_with_configs(answer, proposal.configs)))
    else:
        _print_text(answer, proposal, at_once, estimated=estimate)
    return 0


def _estimated(answer: Row, proposal: Proposal, at_once: int, *, quiet: bool) -> Row:
    """The answer with how long each run takes, and all of them, and where."""
    configs = proposal.configs
    device = proposal.device
    seconds = seconds_of(configs, proposal.root, device, at_once, proposal.threads, quiet=quiet)
    needs = needs_of(configs, device, quiet=quiet)
    rows = [
        row | {"seconds": took + need.start if took else 0.0, **asdict(need)}
        for row, took, need in zip(answer["runs"], seconds, needs, strict=True)
    ]
    largest = sorted((need.memory for need in needs), reverse=True)[:at_once]
    wall = wall_of(configs, seconds, at_once) if proposal.side_by_side else seconds[0]
    return answer | {
        "seconds": wall + needs[0].start,
        "memory": sum(largest),
        "disk": sum(need.disk for need in needs),
        "device": str(device_of(device)),
        "at_once": at_once,
        "runs": rows,
    }


def _with_configs(answer: Row, configs: Sequence[Config]) -> Row:
    """The answer with the whole configuration of each run."""
    rows = zip(answer["runs"], configs, strict=True)
    return answer | {"runs": [row | {"config": encode(config)} for row, config in rows]}


def _print_text(answer: Row, proposal: Proposal, at_once: int, *, estimated: bool) -> None:
    """Print each run with its configuration, then all of them in a line."""
    for row, config in zip(answer["runs"], proposal.configs, strict=True):
        print(f"{row['key']}{_about(row)}\n{to_json(config)}")
    where = _where(proposal, at_once) if estimated else ""
    print(f"{counted(len(proposal.configs), 'run')} in {proposal.root}{_about(answer)}{where}")
    if estimated and proposal.is_for_other_machines:
        print_needs(answer["runs"], type(proposal.executor).__name__)


def _where(proposal: Proposal, at_once: int) -> str:
    """How many at once, and on what they would compute."""
    beside = f", {at_once} at once" if proposal.side_by_side else ""
    return f"{beside} on {place_of(proposal.device, proposal.threads)}"


def print_needs(rows: Sequence[Row], executor: str) -> None:
    """Say what a run needs on another machine: the most of each that one of them needs."""
    most = {name: max(row[name] for row in rows) for name in ("seconds", "memory", "disk", "device_memory")}
    print(f"by {executor} each run needs at most{_about(most)[1:]}, if a core there is as fast as one here")


def _about(row: Row) -> str:
    """What something takes, in words; nothing where that was not estimated."""
    if "seconds" not in row:
        return ""
    words = [duration(row["seconds"]), f"{size(row['memory'])} of memory", f"{size(row['disk'])} of disk"]
    if row.get("device_memory"):
        words.insert(2, f"{size(row['device_memory'])} of the GPU's")
    return f": about {', '.join(words)}"
