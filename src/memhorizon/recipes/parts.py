"""Parts of a recipe: each is a job that leaves a file, so that the recipe resumes where it was cut off."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

from memhorizon.errors import InputError
from memhorizon.experiments.recipe import Found, Progress, Request
from memhorizon.files.plain import read_object
from memhorizon.recipes.tables import table
from memhorizon.records.codec import decode, encode
from memhorizon.records.plain import Plain

if TYPE_CHECKING:  # a picture of parts that are done needs no torch
    import torch

    from memhorizon.experiments.jobs import PartJob

T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """One piece of the work of a recipe.

    Attributes:
        name: of its file.
        settings: what it is made with; a file of other settings is made anew.
        make: does it on a device; a function of a module, or a partial of one, so that it can be sent to
            another process. What it returns is a dataclass.
    """

    name: str
    settings: Mapping[str, Plain]
    make: "Callable[[torch.device], T]"


@dataclass(frozen=True)
class Done(Generic[T]):
    """What a part found.

    Attributes:
        found: the finding.
        seconds: time that it took.
        environment: where it was made.
    """

    found: T
    seconds: float
    environment: Mapping[str, Plain]


def do_parts(parts: Sequence[Part[T]], kind: type[T], request: Request) -> list[Done[T]]:
    """What each part finds: read where its file is there already, else made and written.

    They compute on the CPU unless the request names a device: the networks are too small for an accelerator.

    Args:
        parts: the parts.
        kind: of what they return.
        request: names the folder of the files, the executor and the device.

    Raises:
        InputError: if parts failed; the others are made all the same.
    """
    from memhorizon.experiments.jobs import PartJob

    jobs = [
        PartJob(request.work / f"{part.name}.json", part.settings, partial(_timed, part.make))
        for part in parts
    ]
    failed: list[str] = []
    for _ in request.watch(_progress(jobs, request, failed)):
        pass
    _check_done(failed, len(jobs))
    return [_read(job, kind) for job in jobs]


def found_of(
    name: str,
    rows: Sequence[object],
    kinds: Sequence[type],
    done: Sequence[Done[T]],
    *,
    settings: Mapping[str, object],
    summary: Mapping[str, object],
) -> Found:
    """The table of some parts: made where the first of them was, in the time of all; see `table`."""
    made = table(name, rows, kinds, settings=settings, summary=summary)
    seconds = sum(part.seconds for part in done)
    return Found(replace(made, environment=done[0].environment, seconds=seconds))


def _check_done(failed: Sequence[str], total: int) -> None:
    if failed:
        lines = "\n".join(f"  {line}" for line in failed)
        raise InputError(f"{len(failed)} of {total} parts failed (the others are done):\n{lines}")


def _progress(jobs: "Sequence[PartJob]", request: Request, failed: list[str]) -> Iterator[Progress]:
    """Do the jobs, adding to `failed`."""
    from memhorizon.experiments.jobs import do_jobs

    done = 0
    for outcome in do_jobs(jobs, executor=request.executor, device=request.device):
        if outcome is not None:
            done += 1
            if outcome.error:
                failed.append(f"{outcome.path.stem}: {outcome.error}")
        yield Progress(done, len(jobs))


def _timed(make: "Callable[[torch.device], object]", device: str | None) -> dict[str, Plain]:
    from memhorizon.devices import device_of
    from memhorizon.experiments.environment import environment

    begun = perf_counter()
    place = device_of(device or "cpu")
    found = encode(make(place))
    return {"found": found, "seconds": perf_counter() - begun, "environment": environment(place)}


def _read(job: "PartJob", kind: type[T]) -> Done[T]:
    tree = read_object(job.path)
    found = decode(tree["found"], kind, f"{job.path.name}: found")
    return Done(found, float(tree["seconds"]), tree["environment"])
