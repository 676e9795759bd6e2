"""The random-features theory's first guess for the U-Nets on digits: timescales up to one unit of time."""

from collections.abc import Iterator, Sequence

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.inputs import read_sweeps
from memhorizon.recipes.tables import grouped, table
from memhorizon.recipes.theory.work import Part, make_rows
from memhorizon.recipes.theory_beside_digits.figure import times
from memhorizon.recipes.theory_beside_digits.numbers import (
    DIM,
    LEVELS,
    NODES,
    ROWS,
    SWEEP,
    TINY_LEVELS,
    TINY_NODES,
    ModelRow,
    Row,
    beside,
    digits_spectrum,
    model_rows,
    parameters,
    run_rows,
    summarise,
)
from memhorizon.records.sweep import SweepRecord
from memhorizon.theory import Spectrum


def features_of(tiny: bool) -> tuple[float, ...]:
    """psi_p with as many trained numbers as the network of the runs, and with as many features."""
    count = parameters()
    return (count / DIM**2,) if tiny else (count / DIM**2, count / DIM)


def settings_of(record: SweepRecord, spectrum: Spectrum) -> dict[str, object]:
    """What the record says of its making."""
    return {
        "input": record.command,
        "parameters": parameters(),
        "dim": DIM,
        "spectrum": {"eigenvalues": spectrum.eigenvalues, "weights": spectrum.weights},
        "activation": "tanh",
        "optimizers": "gradient flow in the theory; in the runs Adam, minibatches, all noise levels at once",
    }


def make(request: Request) -> Found:
    """Compute the theory's times, and hold the runs of the sweep against them."""
    (record,) = read_sweeps([SWEEP], request.records)
    spectrum = digits_spectrum(TINY_NODES if request.tiny else NODES)
    models = make_rows(request, parts(record, spectrum, request.tiny), (ModelRow,)).rows
    levels = grouped(models, lambda row: row.t)
    rows = [row for t, same in levels.items() for row in level_rows(record, t, same)]
    return Found(
        table("beside_digits", rows, ROWS, settings=settings_of(record, spectrum), summary=summarise(rows))
    )


def parts(record: SweepRecord, spectrum: Spectrum, tiny: bool) -> dict[str, Part[ModelRow]]:
    """The models of every n, for each diffusion time and number of features."""
    sizes = tuple(sorted({run.n_train for run in record.runs}))
    return {
        f"t{t:g}-psi_p{psi_p:.4g}": Part(model_rows, (sizes, psi_p, t, spectrum))
        for t in (TINY_LEVELS if tiny else LEVELS)
        for psi_p in features_of(tiny)
    }


def level_rows(record: SweepRecord, t: float, models: Sequence[ModelRow]) -> Iterator[Row]:
    """The runs at one diffusion time, and the models beside them."""
    runs = run_rows(record, t)
    yield from runs
    for same in grouped(models, lambda row: row.psi_p).values():
        yield from beside(same, runs)


RECIPE = Recipe(
    "theory_beside_digits",
    "In one fitted unit of time the theory gives the order of the U-Nets' timescales, but not their ratio.",
    make,
    figures={"times": times},
    reads=(SWEEP,),
    takes="Two minutes on one core.",
    path="theory/beside_digits",
)
