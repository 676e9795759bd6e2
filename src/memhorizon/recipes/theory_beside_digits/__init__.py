"""The random-features theory's first guess for the U-Nets on digits: timescales up to one unit of time."""

from memhorizon.experiments.recipe import Found, Recipe, Request
from memhorizon.recipes.inputs import read_sweeps
from memhorizon.recipes.tables import table
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


def features_of(tiny: bool) -> tuple[float, ...]:
    """psi_p with as many trained numbers as the network of the runs, and with as many features."""
    count = parameters()
    return (count / DIM**2,) if tiny else (count / DIM**2, count / DIM)


def make(request: Request) -> Found:
    """Compute the theory's times, and hold the runs of the sweep against them."""
    tiny = request.tiny
    (record,) = read_sweeps([SWEEP], request.records)
    sizes = tuple(sorted({run.n_train for run in record.runs}))
    spectrum = digits_spectrum(TINY_NODES if tiny else NODES)
    parts = {
        f"t{t:g}-psi_p{psi_p:.4g}": Part(model_rows, (sizes, psi_p, t, spectrum))
        for t in (TINY_LEVELS if tiny else LEVELS)
        for psi_p in features_of(tiny)
    }
    models = make_rows(request, parts, (ModelRow,)).rows
    rows: list[Row] = []
    for t in TINY_LEVELS if tiny else LEVELS:
        runs = run_rows(record, t)
        rows += runs
        for psi_p in features_of(tiny):
            rows += beside([row for row in models if (row.t, row.psi_p) == (t, psi_p)], runs)
    settings = {
        "input": record.command,
        "parameters": parameters(),
        "dim": DIM,
        "spectrum": {"eigenvalues": spectrum.eigenvalues, "weights": spectrum.weights},
        "activation": "tanh",
        "optimizers": "gradient flow in the theory; in the runs Adam, minibatches, all noise levels at once",
    }
    return Found(table("beside_digits", rows, ROWS, settings=settings, summary=summarise(rows)))


RECIPE = Recipe(
    "theory_beside_digits",
    "In one fitted unit of time the theory gives the order of the U-Nets' timescales, but not their ratio.",
    make,
    figures={"times": times},
    reads=(SWEEP,),
    takes="Two minutes on one core.",
    path="theory/beside_digits",
)
