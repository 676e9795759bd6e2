"""The recipes that are sweeps, one entry each: what is varied at what length, and the paper's sizes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Found, Progress, Recipe, Request, Size
from memhorizon.experiments.record import record
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import execute_sweep
from memhorizon.recipes.settings import (
    DIGITS,
    FASHION,
    IMAGE_RULES,
    MIXTURE,
    MIXTURE_RULES,
    PAPER,
    PAPER_ADAM,
    PAPER_MIXTURE,
    PAPER_N,
    PAPER_WIDTHS,
    SGD,
    TINY_UPDATES,
    WINDOW,
    WINDOW_FASHION,
    WINDOW_FASHION_28,
    WINDOW_RULES,
    Values,
    at_each_n,
    full_batch,
    on_items,
    tiny,
)
from memhorizon.timescales.rules import Rules

SEEDS = (0, 1, 2)
DIGITS_ITEMS = 1797


@dataclass(frozen=True)
class Entry:
    """A sweep over n_train, over other hyperparameters, or both.

    Attributes:
        name: of the recipe.
        claim: what is to be shown.
        paper_figure: the figure of the paper; empty where it has none.
        base: what all runs share.
        updates: at each n_train, how long a run is.
        axes: hyperparameters that are varied beside n_train and the seed.
        tiny: n_train of the tiny sweep.
        tiny_axes: its other hyperparameters.
        paper: what all runs share at the paper's size, their length included.
        paper_n: n_train at the paper's size.
        paper_axes: the other hyperparameters there.
        rules: by which the times are read.
        note: what else one should know.
        items: of the source, where those for some seeds do not suffice at the largest n_train.
    """

    name: str
    claim: str
    paper_figure: str
    base: Config
    updates: Mapping[int, int]
    paper: Config
    paper_n: Sequence[int]
    axes: Mapping[str, Values] = field(default_factory=dict)
    tiny: Sequence[int] = (8,)
    tiny_axes: Mapping[str, Values] = field(default_factory=dict)
    paper_axes: Mapping[str, Values] = field(default_factory=dict)
    rules: Rules = MIXTURE_RULES
    note: str = ""
    items: int | None = None

    def configs(self, size: Size = "here") -> list[Config]:
        """All runs: three seeds each, one where the sweep is tiny or the paper's."""
        if size == "tiny":
            length = dict.fromkeys(self.tiny, TINY_UPDATES)
            return at_each_n(tiny(self.base), length, **self.tiny_axes, seed=(0,))
        if size == "paper":
            length = dict.fromkeys(self.paper_n, self.paper.train.n_updates)
            return at_each_n(self.paper, length, **self.paper_axes, seed=(0,))
        here = at_each_n(self.base, self.updates, **self.axes, seed=SEEDS)
        return here if self.items is None else on_items(here, self.items)

    def recipe(self) -> Recipe:
        """The recipe of this sweep."""
        return Recipe(
            self.name,
            self.claim,
            partial(run_sweep, self),
            paper_figure=self.paper_figure,
            plan=self.configs,
            takes="Its runs are kept; finished ones are not done again." + (self.note and f" {self.note}"),
            sizes=("here", "tiny", "paper"),
        )


def run_sweep(entry: Entry, request: Request) -> Found:
    """Do the runs of a sweep and read their times.

    Raises:
        InputError: if runs failed and none has any measures.
    """
    runs, failed = do_runs(entry.configs(request.size), request)
    found = record(runs, entry.rules, name=entry.name)
    seconds = sum(run.seconds() for run in runs)
    return Found(replace(found, seconds=seconds), runs, failed)


def do_runs(configs: Sequence[Config], request: Request) -> tuple[tuple[RunDir, ...], str]:
    """Do runs, showing their progress.

    Returns:
        Their directories, and which failed and why: empty where none did.

    Raises:
        InputError: if runs failed and none has any measures.
    """
    runs: tuple[RunDir, ...] = ()
    sweep = execute_sweep(configs, root=request.work, executor=request.executor, device=request.device)

    def progress() -> Iterator[Progress]:
        nonlocal runs
        for event in sweep:
            runs = event.runs
            done = sum(run.done for run in runs)
            yield Progress(event.step, event.steps, "step", f"{done} of {len(runs)} runs done")

    try:
        for _ in request.watch(progress()):
            pass
    except InputError as error:
        if not any(_measured(run) for run in runs):
            raise
        return runs, str(error)
    return runs, ""


def _measured(run: RunDir) -> bool:
    return (run.path / "measures.jsonl").is_file()


MOMENTUM = full_batch(replace(MIXTURE, optimizer=SGD))
DECAY = replace(MIXTURE, optimizer=replace(MIXTURE.optimizer, name="adamw"))
PAPER_DECAY = replace(PAPER_ADAM, optimizer=replace(PAPER_ADAM.optimizer, name="adamw"))
FULL_BATCH = full_batch(MIXTURE)
PAPER_FULL_BATCH = full_batch(PAPER)

TABLE = (
    Entry(
        name="n_digits",
        claim="Handwritten digits: tau_gen is independent of n_train; tau_mem is proportional to n_train",
        paper_figure="Fig. 2",
        base=DIGITS,
        updates={16: 2000, 32: 3000, 64: 5000, 128: 10_000},
        tiny=(8, 16),
        paper=PAPER,
        paper_n=PAPER_N,
        rules=IMAGE_RULES,
    ),
    Entry(
        name="window_digits",
        claim="Handwritten digits at larger n_train: tau_gen, by the quality of samples, is independent of "
        "n_train, and copying begins after it",
        paper_figure="Fig. 2",
        base=WINDOW,
        updates={64: 6000, 128: 9000, 256: 23_500, 512: 64_000, 1024: 100_000},
        tiny=(8, 16),
        paper=PAPER,
        paper_n=PAPER_N,
        rules=WINDOW_RULES,
        note="Of the committed runs those of seeds 1 and 2 of n = 1,024 end at steps 74,057 and 30,079; at "
        "n = 1,024 all seeds have the same items, at n = 512 seeds 0 and 2.",
        items=DIGITS_ITEMS,
    ),
    Entry(
        name="window_fashion",
        claim="Fashion-MNIST at 14x14 and larger n_train: tau_gen, by the quality of samples, is independent "
        "of n_train, and copying begins after it",
        paper_figure="Fig. 2",
        base=WINDOW_FASHION,
        updates={64: 10_000, 128: 14_000, 256: 60_000, 512: 100_000},
        tiny=(8, 16),
        paper=PAPER,
        paper_n=PAPER_N,
        rules=WINDOW_RULES,
        note="Of the committed runs the first of n = 256 ends at step 45,432, those of n = 512 at 9,047.",
    ),
    Entry(
        name="window_fashion_28",
        claim="Fashion-MNIST at its full 28x28: tau_gen, by the quality of samples, is independent of "
        "n_train, and copying begins after it",
        paper_figure="Fig. 2",
        base=WINDOW_FASHION_28,
        updates={64: 10_000, 128: 24_000, 256: 60_000, 512: 60_000},
        tiny=(8, 16),
        paper=PAPER,
        paper_n=PAPER_N,
        rules=WINDOW_RULES,
        note="For a GPU. Of the committed runs those of n = 64 and 512 have one seed, those of n = 256 two; "
        "there is none of n = 128, and those of n = 256 and 512 end at step 19,724.",
    ),
    Entry(
        name="n_fashion",
        claim="Fashion-MNIST at 14x14: tau_gen is independent of n_train; tau_mem is proportional to n_train",
        paper_figure="Fig. 2",
        base=FASHION,
        updates={8: 1000, 16: 1500, 32: 3000, 64: 6000},
        tiny=(8, 16),
        paper=PAPER,
        paper_n=PAPER_N,
        rules=IMAGE_RULES,
    ),
    Entry(
        name="n_mixture_adam",
        claim="Gaussian mixture, Adam: tau_gen is independent of n_train; tau_mem is proportional to n_train",
        paper_figure="Figs. 2, 7, 9",
        base=MIXTURE,
        updates={32: 4000, 64: 8000, 128: 25_000, 256: 30_000},
        tiny=(8, 16),
        paper=PAPER_ADAM,
        paper_n=PAPER_N,
        note="The paper's size is its image network with Adam.",
    ),
    Entry(
        name="n_mixture_large",
        claim="Gaussian mixture, Adam: where the best quality hardly improves with n_train, tau_gen is "
        "independent of n_train",
        paper_figure="Fig. 9",
        base=MIXTURE,
        updates={512: 12_000, 1024: 12_000, 2048: 12_000, 4096: 12_000},
        tiny=(8, 16),
        paper=PAPER_ADAM,
        paper_n=PAPER_N,
        note="The runs end before copying begins: it is the quality that is looked at.",
    ),
    Entry(
        name="n_mixture_sgd",
        claim="Gaussian mixture, full batch, SGD with momentum as in the paper: "
        "tau_gen is independent of n_train; tau_mem is proportional to n_train",
        paper_figure="Fig. 9 left",
        base=MOMENTUM,
        updates={16: 30_000, 32: 60_000, 64: 120_000, 128: 240_000},
        tiny=(8, 16),
        paper=PAPER_MIXTURE,
        paper_n=(256, 512, 1024, 2048, 4096),
    ),
    Entry(
        name="repetition_mixture",
        claim="Not a matter of repetition: at one batch size for every n, passes per item fall as "
        "1 / n_train, and tau_mem still grows with n_train",
        paper_figure="Fig. 7 left",
        base=MIXTURE,
        updates={16: 3000, 32: 6000, 64: 20_000, 128: 80_000},
        axes={"batch_size": (16,)},
        tiny=(8, 16),
        tiny_axes={"batch_size": (4,)},
        paper=PAPER,
        paper_n=PAPER_N[:4],
        paper_axes={"batch_size": (128, None)},
        note="The full batch at the same n is n_mixture_adam.",
    ),
    Entry(
        name="full_batch_mixture",
        claim="tau_mem grows with n_train where every item is seen at every step",
        paper_figure="Fig. 7 left",
        base=FULL_BATCH,
        updates={128: 8000, 256: 14_000, 512: 26_000, 1024: 44_000},
        tiny=(8, 16),
        paper=PAPER_FULL_BATCH,
        paper_n=(128, 256, 512, 1024),
        note="The paper's batch is min(n, 512): up to n = 512 its full-batch runs are its ordinary ones.",
    ),
    Entry(
        name="width_digits",
        claim="U-Net on handwritten digits: "
        "tau_mem is proportional to n_train / width; tau_gen is proportional to 1 / width",
        paper_figure="Fig. 3",
        base=DIGITS,
        updates={16: 3000, 32: 5000, 64: 4000},
        axes={"width": (8, 16, 24, 32)},
        tiny_axes={"width": (8, 16)},
        paper=PAPER,
        paper_n=PAPER_N,
        paper_axes={"width": PAPER_WIDTHS},
        rules=IMAGE_RULES,
        note="The paper's size is its whole phase diagram.",
    ),
    Entry(
        name="width_window_digits",
        claim="U-Net on handwritten digits: which networks have copied at multiples of tau_gen, read by the "
        "quality of samples, where samples are good before they are copies?",
        paper_figure="Fig. 3",
        base=WINDOW,
        updates={64: 6000, 128: 9000, 256: 23_500},
        axes={"width": (16, 24, 32)},
        tiny_axes={"width": (8, 16)},
        paper=PAPER,
        paper_n=PAPER_N,
        paper_axes={"width": PAPER_WIDTHS},
        rules=WINDOW_RULES,
        note="The runs of width 16 are those of window_digits; of the committed runs those of widths 24 and "
        "32 have one seed at n = 256, and end where copies are common.",
        items=DIGITS_ITEMS,
    ),
    Entry(
        name="threshold_digits",
        claim="U-Net on handwritten digits, half as wide as that of window_digits: which n_train are copied "
        "by long training?",
        paper_figure="Fig. 3",
        base=replace(WINDOW, model=replace(WINDOW.model, width=8)),
        updates={128: 64_000, 256: 64_000, 512: 64_000},
        tiny=(8, 16),
        paper=PAPER,
        paper_n=PAPER_N,
        rules=WINDOW_RULES,
        note="As long as the runs of width 16 at n = 512 of window_digits; the committed runs are those of "
        "seed 0.",
        items=DIGITS_ITEMS,
    ),
    Entry(
        name="width_mixture",
        claim="MLP on a Gaussian mixture: "
        "tau_mem is proportional to n_train / width; tau_gen is proportional to 1 / width",
        paper_figure="Fig. 9 right",
        base=MIXTURE,
        updates={16: 8000, 32: 16_000, 64: 24_000, 128: 32_000},
        axes={"width": (32, 64, 128, 256)},
        tiny_axes={"width": (8, 16)},
        paper=PAPER_MIXTURE,
        paper_n=(2048,),
        paper_axes={"width": (64, 128, 256)},
    ),
    Entry(
        name="lr_mixture",
        claim="Do the times of Adam scale as 1 / lr?",
        paper_figure="",
        base=MIXTURE,
        updates={32: 24_000},
        axes={"lr": (2.5e-4, 5e-4, 1e-3, 2e-3)},
        tiny_axes={"lr": (1e-3, 2e-3)},
        paper=PAPER_ADAM,
        paper_n=(1024,),
        paper_axes={"lr": (3e-5, 1e-4, 3e-4, 1e-3)},
    ),
    Entry(
        name="lr_sgd_mixture",
        claim="Training time is the step times the learning rate: do the times of SGD scale as 1 / lr?",
        paper_figure="Sec. 3",
        base=MOMENTUM,
        updates={16: 20_000},
        axes={"lr": (1.5e-3, 3e-3, 6e-3, 1.2e-2)},
        tiny_axes={"lr": (3e-3, 6e-3)},
        paper=PAPER,
        paper_n=(1024,),
        paper_axes={"lr": (3e-3, 1e-2, 3e-2, 1e-1)},
    ),
    Entry(
        name="momentum_mixture",
        claim="What does momentum, 0.95 in the paper, do to tau_gen and tau_mem?",
        paper_figure="",
        base=MOMENTUM,
        updates={16: 60_000},
        axes={"momentum": (0.0, 0.5, 0.8, 0.9, 0.95)},
        tiny_axes={"momentum": (0.0, 0.95)},
        paper=PAPER,
        paper_n=(1024,),
        paper_axes={"momentum": (0.0, 0.5, 0.9, 0.95)},
        note="Gradient descent at the rate lr / (1 - momentum) follows the same flow: these rates are those "
        "of lr_sgd_mixture from 1.5e-3 to 6e-3, and slower ones.",
    ),
    Entry(
        name="batch_mixture",
        claim="At one n_train, is it steps or passes over the data that set tau_mem?",
        paper_figure="",
        base=MIXTURE,
        updates={32: 12_000},
        axes={"batch_size": (4, 8, 16, 32)},
        tiny_axes={"batch_size": (4, 8)},
        paper=PAPER_ADAM,
        paper_n=(1024,),
        paper_axes={"batch_size": (64, 256, 512, 1024)},
    ),
    Entry(
        name="ema_mixture",
        claim="Does a moving average of the weights move tau_mem?",
        paper_figure="",
        base=MIXTURE,
        updates={32: 8000},
        axes={"ema": (0.0, 0.99, 0.999, 0.9995)},
        tiny_axes={"ema": (0.0, 0.9)},
        paper=PAPER_ADAM,
        paper_n=(1024,),
        paper_axes={"ema": (0.0, 0.999, 0.9999)},
    ),
    Entry(
        name="dropout_digits",
        claim="The published code trains with dropout 0.1, which the paper does not mention: "
        "does it move tau_mem?",
        paper_figure="",
        base=DIGITS,
        updates={32: 4000},
        axes={"dropout": (0.0, 0.1, 0.2)},
        tiny_axes={"dropout": (0.0, 0.1)},
        paper=PAPER,
        paper_n=(1024,),
        paper_axes={"dropout": (0.0, 0.05, 0.1, 0.2)},
        rules=IMAGE_RULES,
    ),
    Entry(
        name="decay_mixture",
        claim="Does weight decay, that of AdamW, move tau_mem?",
        paper_figure="",
        base=DECAY,
        updates={32: 8000},
        axes={"weight_decay": (0.0, 0.01, 0.1, 1.0)},
        tiny_axes={"weight_decay": (0.0, 0.01)},
        paper=PAPER_DECAY,
        paper_n=(1024,),
        paper_axes={"weight_decay": (0.0, 1e-4, 1e-2)},
    ),
)

ENTRIES = {entry.name: entry for entry in TABLE}
RECIPES = tuple(entry.recipe() for entry in TABLE)
