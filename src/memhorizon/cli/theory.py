"""Commands of the random-features theory."""

import json as json_module
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from memhorizon.cli.terminal import check_reader
from memhorizon.errors import InputError
from memhorizon.files.plain import check_file, write_atomically
from memhorizon.records.codec import encode, encode_object
from memhorizon.results import Status, Time
from memhorizon.theory import (
    FeatureModel,
    LossCurves,
    ModelTimescales,
    SpectralDensity,
    Spectrum,
    Support,
    bulk_edges,
    coefficients,
    loss_curves,
    spectral_density,
    timescales,
)

if TYPE_CHECKING:
    from memhorizon.figures.picture import Picture

Answer = dict[str, object]

app = tyro.extras.SubcommandApp()
MOST_POINTS = 10_000  # per interval, or of a curve: a minute
MOST_MODELS = 100
PICTURES = (".png", ".pdf", ".svg")
UNIT = "all times: tau = steps x learning rate/d^2, of gradient descent on the train loss per coordinate"
ISOTROPIC = (1.0,)
SURE = (Status.SOLVED, Status.LEADING_ORDER)  # of these, numbers are what they are said to be
COLUMNS = ("tau_gen", "tau_mem", "argmin", "onset", "rho_1", "gap_50")


@dataclass(frozen=True)
class ModelFlags:
    """Which random-features models: one for each psi_n.

    Attributes:
        psi_n: training items per dimension; several make a sweep.
        psi_p: features per dimension.
        t: diffusion time.
        activation: tanh, erf, relu, sin, sigmoid, gelu, silu or softplus.
        eigenvalues: of the data covariance.
        weights: their shares; equal where not given.
        data: take the eigenvalues from data: a .npy file [n, ...] or a folder of images.
    """

    psi_n: tuple[float, ...] = (8.0,)
    psi_p: float = 64.0
    t: float = 0.01
    activation: str = "tanh"
    eigenvalues: tuple[float, ...] = ISOTROPIC
    weights: tuple[float, ...] = ()
    data: Path | None = None

    def build(self) -> list[FeatureModel]:
        """Make the models.

        Raises:
            InputError: if the flags do not describe any, or too many.
        """
        if not 1 <= len(self.psi_n) <= MOST_MODELS:
            raise InputError(f"psi_n: expected 1 to {MOST_MODELS} numbers, got {len(self.psi_n)}")
        spectrum = self._spectrum()
        return [
            FeatureModel(psi_n, self.psi_p, self.t, activation=self.activation, spectrum=spectrum)
            for psi_n in self.psi_n
        ]

    def _spectrum(self) -> Spectrum:
        """The spectrum of the data covariance."""
        if self.data is not None:
            if self.weights or self.eigenvalues != ISOTROPIC:
                raise InputError(f"eigenvalues, weights: expected none beside data, got {self.eigenvalues}")
            return _spectrum_of(self.data)
        shares = self.weights or (1.0,) * len(self.eigenvalues)
        if len(shares) != len(self.eigenvalues):
            raise InputError(f"weights: expected one per eigenvalue, got {self.weights}")
        return Spectrum.atoms(self.eigenvalues, shares)


@dataclass(frozen=True)
class OutputFlags:
    """Where the answer goes.

    Attributes:
        json: print the numbers.
        out: also write the numbers to this file, a .json.
        plot: draw them into this file, a .png, .pdf or .svg.
    """

    json: bool = False
    out: Path | None = None
    plot: Path | None = None

    def check(self) -> None:
        """Before the work: can these files be written?

        Raises:
            InputError: if not.
        """
        for name, path in (("out", self.out), ("plot", self.plot)):
            if path is not None:
                check_file(path, name)
        if self.out is None and self.plot is None:
            check_reader()
        if self.plot is not None and self.plot.suffix not in PICTURES:
            raise InputError(f"plot: expected a name that ends in .png, .pdf or .svg, got {str(self.plot)!r}")
        if self.out is not None and self.out.suffix != ".json":
            raise InputError(f"out: expected a name that ends in .json, got {str(self.out)!r}")

    def give(self, answers: Sequence[Answer], lines: Sequence[str], draw: Callable[[], "Picture"]) -> None:
        """Print, write and draw the answers, one for each model."""
        whole = answers[0] if len(answers) == 1 else {"models": list(answers)}
        text = json_module.dumps(encode(whole), allow_nan=False)
        if self.out is not None:
            write_atomically(self.out, text.encode())
        if self.plot is not None:
            from memhorizon.figures.style import save

            save(draw().plot(), self.plot)
        print(text if self.json else "\n".join(lines))
        self._name_files()

    def _name_files(self) -> None:
        """Say what was written; beside JSON on the error stream, so that the answer stays whole."""
        stream = sys.stderr if self.json else sys.stdout
        for path in (self.out, self.plot):
            if path is not None:
                print(f"written: {path}", file=stream)


Models = Annotated[ModelFlags, tyro.conf.arg(name="")]
Output = Annotated[OutputFlags, tyro.conf.arg(name="")]


@app.command
def spectrum(models: Models, output: Output, points: int = 200) -> int:
    """Spectrum of U: the atom, every interval of the support with its mass, the density.

    Args:
        models: which models.
        output: where the answer goes.
        points: densities per interval, in the answer of --json, --out and --plot.
    """
    _check_points(points, 1)
    output.check()
    built = models.build()
    supports = [bulk_edges(model) for model in built]
    densities = [_densities(model, support, points) for model, support in zip(built, supports, strict=True)]

    def draw() -> "Picture":
        from memhorizon.figures.random_features import spectra

        return spectra(built, supports, densities)

    answers = []
    lines = []
    for model, support, found in zip(built, supports, densities, strict=True):
        answers.append(_spectrum_answer(model, support, found))
        lines += _titled(built, model, _spectrum_lines(support))
    output.give(answers, [*lines, *_doubts(built, supports)], draw)
    return _exit_status(supports)


@app.command
def losses(models: Models, output: Output, first: float = 1.0, last: float = 1e7, points: int = 25) -> int:
    """Train loss, test loss, their gap and the score error against training time, and at infinity.

    Args:
        models: which models.
        output: where the answer goes.
        first: first training time tau.
        last: last training time.
        points: how many, evenly spaced in the logarithm.
    """
    if not 0 < first < last < np.inf:
        raise InputError(f"first, last: expected 0 < first < last, both finite, got {first}, {last}")
    _check_points(points, 2)
    output.check()
    built = models.build()
    tau = np.append(np.geomspace(first, last, points), np.inf)
    curves = [loss_curves(model, tau) for model in built]

    def draw() -> "Picture":
        from memhorizon.figures.random_features import losses

        return losses(built, curves)

    answers = []
    lines = []
    for model, found in zip(built, curves, strict=True):
        answers.append({"model": _model(model), **encode_object(found)})
        lines += _titled(built, model, _loss_lines(found))
    output.give(answers, lines, draw)
    return _exit_status(curves)


@app.command
def times(models: Models, output: Output, score_level: float = 0.2, gap_level: float = 0.05) -> int:
    """Both timescales of the theory, in units of tau; of several psi_n a table.

    Args:
        models: which models.
        output: where the answer goes.
        score_level: tau_gen is when the score error falls to this over Gamma_t^2.
        gap_level: tau_mem is when L_gen = L_test - L_train reaches this.
    """
    output.check()
    built = models.build()
    found = [timescales(model, score_level=score_level, gap_level=gap_level) for model in built]

    def draw() -> "Picture":
        from memhorizon.figures.random_features import times

        return times(built, found)

    answers: list[Answer] = [
        {"model": _model(model), **encode_object(scales)} for model, scales in zip(built, found, strict=True)
    ]
    lines = _time_lines(found[0]) if len(built) == 1 else _time_table(built, found)
    output.give(answers, [*lines, UNIT, *_doubts(built, found)], draw)
    return _exit_status(found)


def _spectrum_of(path: Path) -> Spectrum:
    """The spectrum of data from a file; what is no .npy file needs torch."""
    if path.suffix == ".npy":
        return Spectrum.from_data(path)
    from memhorizon.files.images import load_images

    return Spectrum.from_data(load_images(path))


def _densities(model: FeatureModel, support: Support, points: int) -> list[SpectralDensity]:
    """Densities on each interval, with places that cluster at its edges."""
    share = np.sin(np.linspace(0, np.pi / 2, points + 2)[1:-1]) ** 2
    return [spectral_density(model, low + (high - low) * share) for low, high in support.intervals]


def _spectrum_answer(model: FeatureModel, support: Support, densities: Sequence[SpectralDensity]) -> Answer:
    """The numbers of one spectrum."""
    return {
        "model": _model(model),
        "coefficients": coefficients(model),
        "atom": {"location": support.atom_location, "weight": support.atom_weight},
        "intervals": [_interval(support, i, found) for i, found in enumerate(densities)],
    }


def _interval(support: Support, i: int, found: SpectralDensity) -> Answer:
    """The numbers of one interval of the support."""
    low, high = support.intervals[i]
    return {
        "label": support.labels[i],
        "low": low,
        "high": high,
        "mass": support.masses[i],
        "eigenvalue": found.eigenvalues,
        "density": found.density,
        "residual": found.residual,
        "place": found.place,
        "status": found.status,
    }


def _spectrum_lines(support: Support) -> list[str]:
    """One line for the atom and for each interval."""
    atom = f"atom      {support.atom_location:12.6g}                mass {support.atom_weight:.6f}"
    rows = zip(support.labels, support.intervals, support.masses, strict=True)
    return [
        atom,
        *(f"{label:<9} {low:12.6g} {high:12.6g}   mass {mass:.6f}" for label, (low, high), mass in rows),
    ]


def _loss_lines(found: LossCurves) -> list[str]:
    """One line for each training time."""
    columns = np.stack([found.tau, found.L_train, found.L_test, found.L_gen, found.E_score], axis=1)
    head = f"{'tau':>10} {'L_train':>10} {'L_test':>10} {'L_gen':>10} {'E_score':>10}"
    rows = [" ".join(f"{value:10.4g}" for value in row) for row in columns]
    return [head, *rows, _explained(found)]


def _explained(found: LossCurves) -> str:
    """How the curves came about, with what limits them."""
    return f"{found.status}; {found.note}" if found.note else str(found.status)


def _doubts(models: Sequence[FeatureModel], found: Sequence[Support | ModelTimescales]) -> list[str]:
    """A line for each model whose numbers are not solved as promised."""
    return [
        f"psi_n = {model.psi_n:g}: {one.status} (residual {one.residual:.2g}). {one.status.advice}"
        for model, one in zip(models, found, strict=True)
        if one.status not in SURE
    ]


def _exit_status(found: Sequence[LossCurves | Support | ModelTimescales]) -> int:
    """1 where the numbers of a model are not solved as promised."""
    return 0 if all(one.status in SURE for one in found) else 1


def _time_lines(found: ModelTimescales) -> list[str]:
    """One line for each time."""
    named = {"tau_gen": found.tau_gen, "tau_mem": found.tau_mem, **found.others}
    return [f"{name:<12} {time.value:12.6g}  {time.rule} ({time.status})" for name, time in named.items()]


def _time_table(models: Sequence[FeatureModel], found: Sequence[ModelTimescales]) -> list[str]:
    """One line for each psi_n, one column for each time, and a legend."""
    head = " ".join([f"{'psi_n':>8}", *(f"{name:>10}" for name in COLUMNS)])
    rows = []
    for model, scales in zip(models, found, strict=True):
        named = {"tau_gen": scales.tau_gen, "tau_mem": scales.tau_mem, **scales.others}
        cells = [_cell(named.get(name)) for name in COLUMNS]
        rows.append(" ".join([f"{model.psi_n:8.4g}", *cells]))
    rules = {"tau_gen": found[0].tau_gen.rule, "tau_mem": found[0].tau_mem.rule}
    return [head, *rows, *(f"{name}: {rule}" for name, rule in rules.items())]


def _cell(time: Time | None) -> str:
    """A time in ten columns; what is not reached is infinite, what has no group is a dash."""
    return f"{'-':>10}" if time is None else f"{time.value:10.4g}"


def _titled(models: Sequence[FeatureModel], model: FeatureModel, lines: list[str]) -> list[str]:
    """Lines under their psi_n, where there are several."""
    return lines if len(models) == 1 else [f"psi_n = {model.psi_n:g}", *lines]


def _model(model: FeatureModel) -> Answer:
    """A model in plain values."""
    return {
        "psi_n": model.psi_n,
        "psi_p": model.psi_p,
        "t": model.t,
        "activation": model.activation,
        "spectrum": model.spectrum.name,
        "eigenvalues": model.spectrum.eigenvalues,
        "weights": model.spectrum.weights,
    }


def _check_points(points: int, least: int) -> None:
    if not least <= points <= MOST_POINTS:
        raise InputError(f"points: expected {least} to {MOST_POINTS:,}, got {points}")


def commands(_: Sequence[str]) -> list[tuple[str, tyro.extras.SubcommandApp]]:
    """The commands of this file by name."""
    return [("theory", app)]
