"""The command that plans: from a folder of images to the number of steps after which it would be copied."""

import json as json_module
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from memhorizon.cli.terminal import say
from memhorizon.cli.typed import command, remember
from memhorizon.experiments.environment import timestamp
from memhorizon.files.plain import check_file
from memhorizon.plans import Plan
from memhorizon.plans import plan as plan_of
from memhorizon.records.files import to_plain
from memhorizon.report.plan_page import lines, sentence


def plan(
    images: Path,
    size: int | None = None,
    grey: bool = False,
    width: int = 16,
    lr: float = 2e-3,
    batch_size: int = 32,
    minutes: float | None = None,
    root: Path = Path("plan"),
    yes: bool = False,
    output: Path | None = None,
    device: str | None = None,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """From a folder of images to the number of steps after which a training would copy them.

    Looks at the images, lists the pilots that are worth running and their time on this machine, and, once you
    agree, runs them and answers. The same command resumes where it was interrupted. Exit status 1 where the
    pilots could not tell.

    Args:
        images: a folder of pictures, or a .npy, .npz or .safetensors file.
        size: bring every picture to so many pixels a side; by default at most 16.
        grey: make every picture grey.
        width: channels of the small U-Net.
        lr: learning rate of Adam.
        batch_size: items in each update, which smaller sets do not fill.
        minutes: for the pilots, on all cores; by default those of the plan that is there, or 20.
        root: pilots and plan are kept in here.
        yes: run the pilots without asking.
        output: the page; plan.html in ROOT by default, once pilots have run.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        json: print all numbers.
        quiet: show no progress.
    """
    if output is not None:
        check_file(output, "output")
    made = plan_of(
        images,
        size=size,
        grey=grey,
        width=width,
        lr=lr,
        batch_size=batch_size,
        minutes=minutes,
        root=root,
        device=device,
    )
    made = replace(made, answer=replace(made.answer, command=command(), made=timestamp()))
    _tell_minutes(made, minutes)
    if not json:
        print("\n".join(lines(replace(made.answer, forecast=None))))
    runs = yes or _agreed(made, as_json=json)
    if runs:
        made = _followed(made, device, quiet=quiet)
    page = output or (root / "plan.html" if runs else None)
    _show(made, page, as_json=json)
    answered = made.forecast is None or made.forecast.tau_mem.known
    return 0 if answered else 1


def _tell_minutes(made: Plan, minutes: float | None) -> None:
    """Say where a plan whose pilots have begun was made for other minutes than these."""
    planned = made.answer.minutes
    if minutes is None or minutes == planned:
        return
    known = "other minutes" if math.isnan(planned) else f"{planned:g} minutes"
    say(f"minutes: the plan in {str(made.root)!r} is for {known}, and its pilots have begun")


def _agreed(made: Plan, *, as_json: bool) -> bool:
    """Whether the user wants the pilots to be run; where nobody can be asked, the flag is named."""
    if as_json or not sys.stdin.isatty():
        say(f"{sentence(made.answer)} --yes runs them.")
        return False
    return input(f"{sentence(made.answer)} Run them now? [y/N] ").strip().lower() in ("y", "yes")


def _followed(made: Plan, device: str | None, *, quiet: bool) -> Plan:
    """Run the pilots, showing those of each size in a bar."""
    with tqdm(unit="step", dynamic_ncols=True, disable=quiet) as bar:
        for event in made.follow(device=device):
            bar.set_description(f"pilots of n = {event.pilot.n_train}")
            bar.total = event.sweep.steps
            bar.update(event.sweep.step - bar.n)
    return made.read()


def _show(made: Plan, page: Path | None, *, as_json: bool) -> None:
    if page is not None:
        made.to_html(page)
    if as_json:
        print(json_module.dumps(to_plain(made.answer)))
        return
    if made.forecast is not None:
        print(made.forecast.summary())
    if page is not None:
        print(f"open {page}")


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name, for what was typed."""
    remember(arguments)
    return [("plan", plan)]
