"""Commands of the random-features theory."""

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from memhorizon.errors import InputError
from memhorizon.files.plain import write_atomically
from memhorizon.results import plain
from memhorizon.theory import (
    FeatureModel,
    Spectrum,
    bulk_edges,
    coefficients,
    loss_curves,
    spectral_density,
    timescales,
)

app = tyro.extras.SubcommandApp()
MOST_POINTS = 10_000  # per interval, or of a curve: a minute


@dataclass(frozen=True)
class ModelFlags:
    """Which random-features model.

    Attributes:
        psi_n: training items per dimension.
        psi_p: features per dimension.
        t: diffusion time.
        activation: tanh, erf, relu, sin or sigmoid.
        eigenvalues: of the data covariance.
        weights: their shares; equal where not given.
    """

    psi_n: float = 8.0
    psi_p: float = 64.0
    t: float = 0.01
    activation: str = "tanh"
    eigenvalues: tuple[float, ...] = (1.0,)
    weights: tuple[float, ...] = ()

    def build(self) -> FeatureModel:
        """Make the model.

        Raises:
            InputError: if the flags do not describe one.
        """
        shares = self.weights or (1.0,) * len(self.eigenvalues)
        if len(shares) != len(self.eigenvalues):
            raise InputError(f"weights: expected one per eigenvalue, got {self.weights}")
        spectrum = Spectrum.atoms(self.eigenvalues, shares)
        return FeatureModel(self.psi_n, self.psi_p, self.t, activation=self.activation, spectrum=spectrum)


Flags = Annotated[ModelFlags, tyro.conf.arg(name="")]


@app.command
def spectrum(model: Flags, points: int = 200, json: bool = False, out: Path | None = None) -> int:
    """Spectrum of U: the atom, every interval of the support with its mass, the density.

    Args:
        model: which model.
        points: densities per interval, in the answer of --json and --out.
        json: print the numbers.
        out: also write the numbers to this file.
    """
    _check_points(points, 1)
    _check_out(out)
    built = model.build()
    support = bulk_edges(built)
    bulks = []
    for (low, high), mass, label in zip(support.intervals, support.masses, support.labels, strict=True):
        places = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, points + 2)[1:-1]) ** 2
        found = spectral_density(built, places)
        bulks.append(
            {"label": label, "low": low, "high": high, "mass": mass, "eigenvalue": places, **_density(found)}
        )
    answer = {
        "model": plain(model),
        "coefficients": plain(coefficients(built)),
        "atom": {"location": support.atom_location, "weight": support.atom_weight},
        "intervals": bulks,
    }
    lines = [f"atom      {support.atom_location:12.6g}                mass {support.atom_weight:.6f}"]
    lines += [f"{b['label']:<9} {b['low']:12.6g} {b['high']:12.6g}   mass {b['mass']:.6f}" for b in bulks]
    return _answer(answer, lines, json, out)


def _density(found: Any) -> dict[str, Any]:
    return {"density": found.density, "residual": found.residual, "status": found.status}


@app.command
def losses(
    model: Flags,
    first: float = 1.0,
    last: float = 1e7,
    points: int = 25,
    json: bool = False,
    out: Path | None = None,
) -> int:
    """Train loss, test loss, their gap and the score error against training time, and at infinity.

    Args:
        model: which model.
        first: first training time tau.
        last: last training time.
        points: how many, evenly spaced in the logarithm.
        json: print the numbers.
        out: also write the numbers to this file.
    """
    if not 0 < first < last < np.inf:
        raise InputError(f"first, last: expected 0 < first < last, both finite, got {first}, {last}")
    _check_points(points, 2)
    _check_out(out)
    found = loss_curves(model.build(), np.append(np.geomspace(first, last, points), np.inf))
    columns = np.stack([found.tau, found.L_train, found.L_test, found.L_gen, found.E_score], axis=1)
    lines = [f"{'tau':>10} {'L_train':>10} {'L_test':>10} {'L_gen':>10} {'E_score':>10}"]
    lines += [" ".join(f"{value:10.4g}" for value in row) for row in columns]
    return _answer({"model": plain(model), **plain(found)}, [*lines, found.status], json, out)


@app.command
def times(model: Flags, json: bool = False, out: Path | None = None) -> int:
    """Both clocks of the theory, in units of tau.

    Args:
        model: which model.
        json: print the numbers.
        out: also write the numbers to this file.
    """
    _check_out(out)
    found = timescales(model.build())
    named = {"tau_gen": found.tau_gen, "tau_mem": found.tau_mem, **found.others}
    lines = [f"{name:<12} {time.value:12.6g}  {time.rule} ({time.status})" for name, time in named.items()]
    return _answer({"model": plain(model), **plain(found)}, lines, json, out)


def _check_points(points: int, least: int) -> None:
    if not least <= points <= MOST_POINTS:
        raise InputError(f"points: expected {least} to {MOST_POINTS:,}, got {points}")


def _check_out(out: Path | None) -> None:
    """Before the work: can this file be written?"""
    if out is not None and (out.is_dir() or not out.name):
        raise InputError(f"out: expected a file to write, got the folder {str(out)!r}")
    if out is not None and not out.parent.is_dir():
        raise InputError(f"out: expected a file in a folder that exists, got {str(out)!r}")


def _answer(answer: dict[str, Any], lines: list[str], as_json: bool, out: Path | None) -> int:
    text = json_module.dumps(plain(answer), allow_nan=False)
    if out is not None:
        write_atomically(out, text.encode())
    print(text if as_json else "\n".join(lines))
    return 0


def commands(_: Sequence[str]) -> list[tuple[str, Any]]:
    """The commands of this file by name."""
    return [("theory", app)]
