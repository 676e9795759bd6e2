"""The command that watches a training from its folder of checkpoints."""

import json as json_module
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import tyro
from torch import Tensor
from tqdm import tqdm

from memhorizon.cli.terminal import say
from memhorizon.cli.typed import command, remember
from memhorizon.devices import device_of
from memhorizon.errors import InputError
from memhorizon.files.folders import Skipped
from memhorizon.files.images import ImageSet, load_usable
from memhorizon.files.plain import check_file, check_path, digest, make_folder
from memhorizon.integrations.checkpoints import Checkpoints, check_items, find_checkpoints
from memhorizon.integrations.folder import every_checkpoint, watch_checkpoints
from memhorizon.integrations.keeping import read_state, write_state
from memhorizon.monitor.keeping import RECORD
from memhorizon.monitor.monitor import Monitor
from memhorizon.records.files import to_plain, write_record
from memhorizon.records.monitor import Phase
from memhorizon.report.monitor_page import sentence, write
from memhorizon.samplers import SamplerConfig

Positional = tyro.conf.Positional
INSIDE = "memhorizon"  # folder in that of the checkpoints
STATE = "state.json"


def monitor(
    folder: Positional[Path],
    train: str,
    holdout: str | None = None,
    output: Path = Path("report.html"),
    root: Path | None = None,
    weights: Literal["auto", "ema", "plain"] = "auto",
    scheduler: Path | None = None,
    centred: bool = True,
    size: int | None = None,
    grey: bool = False,
    target: float = 0.01,
    n_samples: int = 64,
    n_solver_steps: int = 25,
    device: str | None = None,
    seed: int = 0,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Watch a training from its folder of checkpoints: which of them copies, which one is to be shipped?

    Looks at the checkpoints of a diffusers network (safetensors) one after the other. The same command goes
    on where it was interrupted, and with checkpoints that are new. Exit status 1 where the last one copies,
    or none has a certificate.

    Args:
        folder: has a folder for each checkpoint, whose name ends in the step, such as checkpoint-1000.
        train: what is trained on: a folder of pictures, or a .npy, .npz or .safetensors file.
        holdout: items as fresh that are not trained on, likewise.
        output: the page.
        root: where the record, contact sheets and the state go; by default a folder memhorizon in FOLDER.
        weights: averaged (ema), plain, or averaged where there are any (auto).
        scheduler: file or folder of the scheduler, where the checkpoints have none.
        centred: bring values from 0..1 to -1..1, as the examples of diffusers do for training.
        size: bring every picture to so many pixels a side.
        grey: make every picture grey.
        target: largest share of copies that is fine.
        n_samples: samples of a checkpoint; where a certificate is worth it more are drawn.
        n_solver_steps: solver steps of a sample.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        seed: of everything that is drawn.
        json: print the record.
        quiet: show no progress.
    """
    check_file(output, "output")
    checkpoints = find_checkpoints(folder, weights=weights, scheduler=scheduler)
    place = folder / INSIDE if root is None else check_path("root", root)
    make_folder(place, "root")
    sets = {"train": _items(train, "train", size, grey, centred)}
    if holdout is not None:
        sets["holdout"] = _items(holdout, "holdout", size, grey, centred)
    check_items(checkpoints, tuple(sets["train"].shape[1:]))
    made = Monitor(
        sets["train"],
        holdout=sets.get("holdout"),
        sampler=SamplerConfig("ddim", n_solver_steps),
        target=target,
        budget=None,
        root=place,
        seed=seed,
        plan=every_checkpoint(n_samples),
        name=folder.absolute().name,
    )
    about = _about(sets, made, checkpoints)
    if read_state(made, place / STATE, about):
        say(f"resumes after step {made.verdict.step:,}")
    skipped = [*checkpoints.skipped, *_follow(made, checkpoints, place, about, device, quiet)]
    return _finish(made, skipped, output, place, as_json=json)


def _items(source: str, name: str, size: int | None, grey: bool, centred: bool) -> Tensor:
    """Items on the scale that the network is trained on."""
    check_path(name, source)
    found: ImageSet = load_usable(source, size=size, grey=grey)
    if found.skipped:
        say(f"{name}: {len(found.skipped):,} skipped, {len(found):,} left")
    items = found.images
    return 2 * items - 1 if centred and float(items.min()) >= 0 else items


def _about(sets: dict[str, Tensor], made: Monitor, checkpoints: Checkpoints) -> dict[str, object]:
    """What a state has to be of to be gone on from: the same sets, settings and kind of weights."""
    about: dict[str, object] = {name: digest(items.numpy().tobytes()) for name, items in sets.items()}
    about["settings"] = repr(made.settings)
    about["averaged"] = sorted({one.averaged for one in checkpoints.found})
    return about


def _follow(
    made: Monitor,
    checkpoints: Checkpoints,
    place: Path,
    about: dict[str, object],
    device: str | None,
    quiet: bool,
) -> list[Skipped]:
    """Look at all checkpoints, keeping the state after each."""
    skipped = []
    with tqdm(total=len(checkpoints.found), unit="checkpoint", dynamic_ncols=True, disable=quiet) as bar:
        for seen in watch_checkpoints(made, checkpoints, device=device_of(device)):
            bar.update(checkpoints.found.index(seen.checkpoint) + 1 - bar.n)
            bar.set_postfix_str(f"step {seen.checkpoint.step:,}: {made.verdict.phase}")
            if seen.skipped is not None:
                skipped.append(seen.skipped)
            write_state(made, place / STATE, about)
    write_state(made, place / STATE, about)  # with the certificate of the end
    return skipped


def _finish(made: Monitor, skipped: Sequence[Skipped], output: Path, place: Path, *, as_json: bool) -> int:
    """Write the record and the page, and say what was found."""
    if not made.history:
        first = f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
        raise InputError(f"folder: expected a checkpoint that can be looked at, got none{first}")
    record = replace(made.record(), command=command())
    write_record(record, place / RECORD)
    write(record, output, root=place)
    print(json_module.dumps(to_plain(record)) if as_json else f"{sentence(record)}\nopen {output}")
    for one in skipped:
        say(f"skipped: {one.name}: {one.reason}")
    is_warning = record.verdict.phase is Phase.MEMORIZING or record.best is None
    return 1 if is_warning else 0


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name, for what was typed."""
    remember(arguments)
    return [("monitor", monitor)]
