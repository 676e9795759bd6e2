"""What a plan is made of: facts of the images, the theory's guess, pilots with their time, their lengths."""

import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from memhorizon.datasets.config import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments import demo
from memhorizon.experiments.config import Config
from memhorizon.experiments.cost import costs
from memhorizon.experiments.executors.processes import cores
from memhorizon.files.digests import digest_of
from memhorizon.files.images import ImageSet, ImageSource, load_images
from memhorizon.files.plain import check_path, write_at
from memhorizon.forecasting.fitting import Question, fit
from memhorizon.forecasting.pilots import Pilot
from memhorizon.forecasting.priors import beliefs
from memhorizon.forecasting.target import Target
from memhorizon.measure.duplicates import duplicate_groups
from memhorizon.measure.memorization import intrinsic_dimension
from memhorizon.records.plan import ImageFacts, PlannedPilot, TheoryGuess
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.spectra import Spectrum
from memhorizon.theory.timescales import timescales

ITEMS = "images.npy"  # in the folder of a plan: what was given as an array
SMALLEST = 16  # items of the smallest pilots
FEWEST = 64  # images that a plan needs: pilots of two sizes, and held-out images
SEEDS = 2
SIZES = 4  # at most
MINUTES = 20.0  # for the pilots, where none are asked for
FEWEST_SIZES = 2  # one size shows no law
LARGEST_SIDE = 16  # pixels: larger pictures are brought to this where nothing else was asked for
HELD_OUT = 256  # at most, and at most a quarter of the images
FIRST_LENGTH = 1000  # steps of the smallest pilots: twice the time of the digits at 16 items
LONGER = 4  # times, where none of the pilots of a size copied
LIKELY = 0.9  # share of pilots that are to copy within their length
DIGITS = 2  # of a length: the same from call to call
PSI_P = 43.0  # features over pixels that the guess assumes, as in results/theory/beside_digits.json
HALF_GAP = "gap_50"  # what is compared with tau_mem there: half of the last loss gap
T = 0.1
OFF = 69.0  # the largest factor there between the ratio of the theory and that of the runs
EVIDENCE = "results/theory/beside_digits.json"
VARIANCE = 0.95
NODES = 24  # of the spectrum


@dataclass(frozen=True)
class Settings:
    """What the pilots share, and what is asked of them.

    Attributes:
        config: of a pilot, but for its size, length and seed.
        n_train: of the run that is planned.
    """

    config: Config
    n_train: int

    @property
    def target(self) -> Target:
        """Runs like the planned one at any n."""
        batch = self.config.train.batch_size
        return Target(self.n_train, None if batch is None else float(batch), True)


def base_config(
    path: Path,
    images: ImageSet,
    *,
    size: int | None,
    grey: bool,
    width: int,
    lr: float,
    batch_size: int,
) -> Config:
    """The configuration of pilots on these images: the small U-Net of the demo.

    Raises:
        InputError: if there are too few images.
    """
    count = len(images)
    if count < FEWEST:
        raise InputError(f"images: expected at least {FEWEST}, got {count}")
    first = demo.configs()[0]
    name = "folder" if path.is_dir() else "file"
    data = DataConfig(
        name=name,
        path=str(path),
        size=size,
        grey=grey,
        n_train=SMALLEST,
        n_holdout=min(HELD_OUT, count // 4),
        scale=2.0,
    )
    return replace(
        first,
        data=data,
        model=replace(first.model, width=width),
        optimizer=replace(first.optimizer, lr=lr),
        train=replace(first.train, batch_size=batch_size),
    )


def source_of(images: ImageSource, root: Path) -> Path:
    """Where pilots read the images: their path, or the file in `root` that they are written to.

    Raises:
        InputError: if they cannot be read or written, or `root` has others.
    """
    if isinstance(images, str | os.PathLike):
        return check_path("images", images)
    pixels = load_images(images).images
    path = root / ITEMS
    if path.is_file():
        before = load_images(path).images
        if before.shape != pixels.shape or not torch.equal(before, pixels):
            raise InputError(f"root: {str(root)!r} holds a plan of other images; expected another root")
        return path
    content = io.BytesIO()
    np.save(content, pixels.numpy(), allow_pickle=False)
    write_at(path, content.getvalue(), "root")
    return path


def looked_at(source: Path, size: int | None, *, grey: bool) -> tuple[ImageSet, int | None]:
    """The images as pilots see them, and the number of pixels a side that they are brought to, if any."""
    looked = load_images(source, size=size, grey=grey)
    side = side_of(looked) if size is None else None
    if side is None:
        return looked, size
    return load_images(source, size=side, grey=grey), side


def side_of(images: ImageSet) -> int | None:
    """The number of pixels a side that pictures are brought to; None where they can stay as they are.

    Raises:
        InputError: if they are a pixel wide or high.
    """
    height, width = images.images.shape[-2:]
    side = min(height, width, LARGEST_SIDE)
    side -= side % 2  # the U-Net halves it once
    if not side:
        raise InputError(f"images: expected pictures of 2 x 2 pixels or more, got {height} x {width}")
    return None if height == width == side else side


def facts_of(images: ImageSet, source: str) -> ImageFacts:
    """Number, duplicates, dimension and spectrum of some images.

    Raises:
        InputError: if all are the same.
    """
    pictures = images.images
    groups = duplicate_groups(pictures)
    if len(groups.unique()) == 1:
        raise InputError(f"images: expected pictures that differ, got {len(pictures)} times the same one")
    # eigenvalues of the covariance from the singular values of the centred pictures
    points = pictures.flatten(1).double().numpy()
    values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) ** 2
    shares = np.cumsum(values) / np.sum(values)
    return ImageFacts(
        source=source,
        n=len(pictures),
        shape=tuple(pictures.shape[1:]),
        duplicates=len(pictures) - len(groups.unique()),
        dimension=intrinsic_dimension(pictures),
        main_directions=int(np.searchsorted(shares, VARIANCE) + 1),
        participation=float(values.sum() ** 2 / (values**2).sum()),
        skipped=len(images.skipped),
        digest=digest_of(pictures),
    )


def theory_guess(images: ImageSet) -> TheoryGuess | None:
    """The ratio of both times and the exponent by the random-features theory; None where it has no answer."""
    points = images.images.flatten(1).double().numpy()
    n, dim = points.shape
    spectrum = Spectrum.from_data(points, nodes=NODES)
    full, half = (timescales(FeatureModel(m / dim, PSI_P, T, spectrum=spectrum)) for m in (n, n / 2))
    late, early = (found.others[HALF_GAP] for found in (full, half))
    if not all(time.observed for time in (late, early, full.tau_gen)):
        return None
    ratio = late.value / full.tau_gen.value
    exponent = math.log(late.value / early.value) / math.log(2)
    return TheoryGuess(n / dim, PSI_P, T, ratio, exponent, OFF, EVIDENCE)


def sizes_of(config: Config, count: int) -> list[int]:
    """Doublings of the smallest size, each half of the images at most.

    >>> sizes_of(Config(data=DataConfig(n_holdout=75)), 300)
    [16, 32, 64, 128]
    """
    left = count - config.data.n_holdout
    sizes = [SMALLEST * 2**k for k in range(SIZES)]
    return [size for size in sizes if size <= left and 2 * size <= count] or [SMALLEST]


def seeds_of(config: Config, size: int, count: int) -> int:
    """How many pilots of a size: as many as have images apart, `SEEDS` at most.

    >>> config = Config(data=DataConfig(n_holdout=75))
    >>> [seeds_of(config, size, 300) for size in sizes_of(config, 300)]
    [2, 2, 2, 1]
    """
    return max(1, min(SEEDS, (count - config.data.n_holdout) // size))


def planned(config: Config, count: int, minutes: float | None, device: str | None) -> list[PlannedPilot]:
    """The pilots of some images that fit into some minutes, timed on this machine.

    Where no minutes are asked for they are 20, or what the two smallest sizes take.

    Raises:
        InputError: if not even those of the two smallest sizes fit.
    """
    at_once = min(cores(), SEEDS)
    found: list[PlannedPilot] = []
    spent = 0.0
    for run, seconds in _timed(config, sizes_of(config, count), device, at_once):
        seeds = seeds_of(config, run.data.n_train, count)
        spent += math.ceil(seeds / at_once) * seconds
        if len(found) >= FEWEST_SIZES and spent > 60 * (minutes or MINUTES):
            break
        found.append(PlannedPilot(run.data.n_train, seeds, run.train.n_updates, seeds * seconds))
        if len(found) == FEWEST_SIZES and minutes is not None:
            check_minutes(minutes, spent)
    return found


def _timed(
    config: Config, sizes: Sequence[int], device: str | None, at_once: int
) -> Iterator[tuple[Config, float]]:
    """A pilot of each size, of the length that is guessed, and the seconds that it takes beside others.

    Raises:
        InputError: if one cannot be run.
    """
    runs = [pilot_config(config, size, guessed_length(size, config), 0) for size in sizes]
    for run, cost in zip(runs, costs(runs, device=device, threads=1, at_once=at_once), strict=True):
        if isinstance(cost, InputError):
            raise cost
        yield run, cost.seconds(run)


def check_minutes(minutes: float, least: float) -> None:
    """Refuse minutes into which the smallest plan, of so many seconds, does not fit.

    >>> check_minutes(1, 42.5 * 60)
    Traceback (most recent call last):
        ...
    memhorizon.errors.InputError: minutes: 1 minute is not enough: the smallest plan takes about 43 min
    """
    if least > 60 * minutes:
        given = "1 minute is" if minutes == 1 else f"{minutes:g} minutes are"
        raise InputError(
            f"minutes: {given} not enough: the smallest plan takes about {math.ceil(least / 60)} min"
        )


def guessed_length(size: int, config: Config) -> int:
    """Steps of pilots of a size before anything has run, by what is believed of the exponents.

    >>> guessed_length(16, demo.configs()[0]), guessed_length(64, demo.configs()[0])
    (1000, 5700)
    """
    known = beliefs("tau_mem", None)
    batch = min(size, config.train.batch_size or size)
    full = known["n_train (full batch)"].mean
    fixed = known["n_train (fixed batch)"].mean
    # log tau = a + c log B + f log(n / B)
    return rounded(FIRST_LENGTH * (batch / SMALLEST) ** full * (size / batch) ** fixed)


def rounded(length: float) -> int:
    """A length of two digits, rounded up: small differences of a forecast do not change it.

    >>> rounded(1234.5), rounded(99.0)
    (1300, 99)
    """
    step = 10 ** max(0, math.floor(math.log10(length)) + 1 - DIGITS)
    return int(math.ceil(length / step) * step)


def next_length(pilots: Sequence[Pilot], size: int, settings: Settings) -> int:
    """Steps within which nine of ten pilots of a size copy, by those that have run."""
    if not any(pilot.tau_mem.observed for pilot in pilots):
        return rounded(LONGER * max(pilot.n_updates for pilot in pilots))
    question = Question("tau_mem", beliefs("tau_mem", None), accept_prior=True)
    point = replace(settings.target.at(size), width=pilots[0].point.width, lr=pilots[0].point.lr)
    late = fit(pilots, [point], question).posterior.quantile(0, LIKELY)
    longest = LONGER * guessed_length(size, settings.config)
    return rounded(min(max(math.exp(late), 2 * settings.config.measure.first), longest))


def pilot_config(config: Config, size: int, length: int, seed: int) -> Config:
    """One pilot."""
    data = replace(config.data, n_train=size, subset=seed)
    return replace(config, data=data, seed=seed, train=replace(config.train, n_updates=length))
