"""From a folder of images to an answer: `plan` says which pilots are worth running, and runs them."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memhorizon.checks import check_flag, check_kind, check_number, check_whole
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Executor
from memhorizon.experiments.executors.processes import cores
from memhorizon.experiments.kept_plan import FILE, has_begun, kept_plan
from memhorizon.experiments.planning import (
    MINUTES,
    Settings,
    base_config,
    facts_of,
    looked_at,
    next_length,
    pilot_config,
    planned,
    source_of,
    theory_guess,
)
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import SweepProgress, execute_sweep
from memhorizon.files.digests import digest_of
from memhorizon.files.images import ImageSet, ImageSource
from memhorizon.files.plain import check_folder, check_path, make_folder, write_page
from memhorizon.forecasting.answers import Forecast
from memhorizon.forecasting.forecast import Asked, forecast_of
from memhorizon.forecasting.pilots import Pilot
from memhorizon.forecasts import gather, read_pilots
from memhorizon.records.codec import encode_object
from memhorizon.records.files import write_record
from memhorizon.records.plan import PlannedPilot, PlanRecord
from memhorizon.timescales.rules import Rules

RULES = Rules.of_samples("frechet")  # images of a folder have no labels that a classifier could learn
TRIES = 2  # of pilots of one size, the second time longer


@dataclass(frozen=True)
class PlanProgress:
    """How far the pilots are.

    Attributes:
        pilot: of which size they are.
        sweep: how far those of this size are.
    """

    pilot: PlannedPilot
    sweep: SweepProgress


@dataclass(frozen=True, repr=False)
class Plan:
    """Which pilots are worth running for a set of images, and what they say once they have run.

    Attributes:
        answer: everything, as it is written to a file.
        config: of the pilots, but for size, length and seed.
        root: the pilots are run in here, and the plan is kept here.
    """

    answer: PlanRecord
    config: Config
    root: Path

    def __post_init__(self) -> None:
        check_kind("answer", self.answer, PlanRecord)

    @property
    def forecast(self) -> Forecast | None:
        """When the images would be copied; None before the pilots have run."""
        return self.answer.forecast

    @property
    def pilots(self) -> tuple[PlannedPilot, ...]:
        """Worth running, smallest first."""
        return self.answer.pilots

    def run(self, *, executor: Executor | None = None, device: str | None = None) -> "Plan":
        """Run the pilots, finished ones not again, and forecast from them.

        Args:
            executor: who does the runs; None for one process per core.
            device: where to compute; None for the accelerator of this machine.

        Raises:
            InputError: if runs failed.
        """
        for _ in self.follow(executor=executor, device=device):
            pass
        return self.read()

    def follow(
        self, *, executor: Executor | None = None, device: str | None = None
    ) -> Iterator[PlanProgress]:
        """Run the pilots as `run` does, yielding progress; `read` has the answer then."""
        self._keep()
        settings = Settings(self.config, self.answer.facts.n)
        done: list[RunDir] = []
        for pilot in self.pilots:
            for _ in range(TRIES):
                length = next_length(read_pilots(done, RULES), pilot.n_train, settings) if done else None
                configs = self._configs(pilot, length or pilot.n_updates)
                for progress in execute_sweep(configs, root=self.root, executor=executor, device=device):
                    yield PlanProgress(replace(pilot, n_updates=configs[0].train.n_updates), progress)
                done += [RunDir(self.root / config.key) for config in configs]
                if any(one.tau_mem.observed for one in _of_size(read_pilots(done, RULES), pilot.n_train)):
                    break

    def read(self) -> "Plan":
        """The plan with the forecast from the pilots that are there.

        Raises:
            InputError: if there is none.
        """
        gathered = gather(self.root, RULES)
        pilots = _last_of_each(gathered.pilots)
        found = replace(forecast_of(pilots, Asked(self.answer.facts.n)), left_out=gathered.left_out)
        seconds = sum(one.seconds or 0.0 for one in pilots)
        made = replace(self, answer=replace(self.answer, forecast=found, seconds=seconds))
        made._keep()
        return made

    def save(self, path: str | Path) -> Path:
        """Write all numbers to a file.

        Raises:
            InputError: if none can be written there.
        """
        return write_record(self.answer, path)

    def to_html(self, path: str | Path) -> Path:
        """Write the page.

        Args:
            path: of the HTML file; in a folder that exists it is named report.html.

        Returns:
            The path of the page.

        Raises:
            InputError: if no file can be written there.
        """
        from memhorizon.report import report  # matplotlib, which nothing else here needs

        return write_page(path, report(self.answer))

    def _configs(self, pilot: PlannedPilot, length: int) -> list[Config]:
        return [pilot_config(self.config, pilot.n_train, length, seed) for seed in range(pilot.seeds)]

    def _keep(self) -> None:
        """Write the plan beside the pilots, so that the same call resumes with it."""
        make_folder(self.root, "root")
        write_record(self.answer, self.root / FILE)

    def __repr__(self) -> str:
        return repr(self.answer).replace("PlanRecord", "Plan", 1)


def plan(
    images: ImageSource,
    *,
    size: int | None = None,
    grey: bool = False,
    width: int = 16,
    lr: float = 2e-3,
    batch_size: int = 32,
    minutes: float | None = None,
    root: str | Path = "plan",
    device: str | None = None,
) -> Plan:
    """Plan how to find out after how many steps a training on these images would copy them.

    Looks at the images (duplicates, dimension, spectrum), gives the theory's first guess, times the network
    on this machine for a few seconds, and lists the pilots that fit into some minutes: runs on 16, 32, 64,
    ... of the images. Nothing is trained before `Plan.run`. The answer is for the network and optimizer of
    the pilots (a small U-Net with Adam).

    Args:
        images: a tensor, an array, a path or an ImageSet, as `load_images` takes them. What is no path is
            written to images.npy in `root`, from which the pilots read it, also those of a later call.
        size: bring every picture to so many pixels a side; by default at most 16, an even number.
        grey: make every picture grey.
        width: channels of the U-Net.
        lr: learning rate of Adam.
        batch_size: items in each update, which smaller sets do not fill.
        minutes: for the pilots, on all cores of this machine, as long as they are guessed to be; by default
            those of the plan in `root`, or 20, or what the two smallest sizes take. A plan whose pilots have
            begun keeps its own.
        root: the pilots are run in here; the same call resumes with what is there.
        device: where to compute; None for the accelerator of this machine.

    Raises:
        InputError: if there are fewer than 64 images, they cannot be read, `root` holds a plan of
            others, or the pilots of the two smallest sizes do not fit into `minutes`.
    """
    _check_options(minutes, grey=grey, width=width, batch_size=batch_size)
    place = check_path("root", root)
    check_folder(place, "root")
    source = source_of(images, place)
    looked, size = looked_at(source, size, grey=grey)
    path = Path(os.path.abspath(source))
    config = base_config(path, looked, size=size, grey=grey, width=width, lr=lr, batch_size=batch_size)
    kept = kept_plan(place, config, len(looked), digest_of(looked.images))
    if kept is not None and (minutes in (None, kept.minutes) or has_begun(place)):
        return Plan(kept, config, place)
    return Plan(_made(config, looked, source, minutes, device), config, place)


def _check_options(minutes: object, *, grey: object, width: object, batch_size: object) -> None:
    if minutes is not None:
        check_number("minutes", minutes, above=0)
    check_flag("grey", grey)
    check_whole("width", width, least=1)
    check_whole("batch_size", batch_size, least=1)


def _made(
    config: Config, looked: ImageSet, source: Path, minutes: float | None, device: str | None
) -> PlanRecord:
    """A new plan: facts, guess, and the pilots that fit into some minutes."""
    made = PlanRecord(
        name=f"plan for {Path(os.path.abspath(source)).name}",
        command="",
        facts=facts_of(looked, str(source)),
        theory=theory_guess(looked),
        config=encode_object(config),
        pilots=tuple(planned(config, len(looked), minutes, device)),
        cores=min(cores(), 2),
    )
    least = max(MINUTES, math.ceil(made.wall_seconds / 60))
    return replace(made, minutes=least if minutes is None else float(minutes))


def _of_size(pilots: Sequence[Pilot], size: int) -> list[Pilot]:
    return [pilot for pilot in pilots if pilot.point.n_train == size]


def _last_of_each(pilots: Sequence[Pilot]) -> list[Pilot]:
    """The longest pilot of each size and seed."""
    kept: dict[tuple[float, int | None], Pilot] = {}
    for pilot in sorted(pilots, key=lambda one: one.n_updates):
        kept[pilot.point.n_train, pilot.seed] = pilot
    return sorted(kept.values(), key=lambda one: (one.point.n_train, one.seed or 0))
