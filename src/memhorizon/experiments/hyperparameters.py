"""What runs of a sweep may differ in: one table of the hyperparameters, with their names and symbols.

It is read by the grid of a sweep (its axes), the record (powers and contrasts), figures and pages (labels)
and the command line. A new field of a configuration becomes an axis with its label by one line here; every
other field is an axis by its dotted name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from memhorizon.records.sweep import RunRecord

if TYPE_CHECKING:  # it imports torch, and figures read this table
    from memhorizon.experiments.config import Config

Role = Literal["power", "contrast"]
Value = float | int | str | None


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter.

    Attributes:
        name: the field of its part of the configuration.
        part: the part: "data", "model", "optimizer" or "train".
        symbol: as an axis or a column has it.
        label: in words.
        unit: of its values; empty where they have none.
        role: "power" where times are fitted as powers of it, "contrast" where values are compared in pairs.
        optimizers: names of the optimizers that have it; empty where all have.
        other: the name of the field in networks that call it otherwise.
        letter: in formulas; that of the symbol where it is none.
    """

    name: str
    part: str
    symbol: str
    label: str
    unit: str = ""
    role: Role = "contrast"
    optimizers: tuple[str, ...] = ()
    other: str = ""
    letter: str = ""

    @property
    def dotted(self) -> str:
        """Where it lies in a configuration.

        >>> HYPERPARAMETERS["lr"].dotted
        'optimizer.lr'
        """
        return f"{self.part}.{self.name}"

    def exists_in(self, config: "Config") -> bool:
        """Whether the network and the optimizer of a configuration have it as an axis."""
        used = not self.optimizers or config.optimizer.name in self.optimizers
        return used and hasattr(getattr(config, self.part), self.name)

    def value_in(self, config: "Config") -> Value:
        """Its value in a configuration; None where the network lacks it."""
        part = getattr(config, self.part)
        value = getattr(part, self.name, None)
        if value is None and self.other:
            return getattr(part, self.other, None)
        return value


_TABLE = (
    Hyperparameter("n_train", "data", "n", "training items", "items", "power"),
    Hyperparameter("width", "model", "width", "width", "channels", "power", other="n_features", letter="W"),
    Hyperparameter("dropout", "model", "dropout", "dropout"),
    Hyperparameter("lr", "optimizer", "learning rate", "learning rate", role="power", letter="η"),
    Hyperparameter("momentum", "optimizer", "momentum", "momentum", optimizers=("sgd",)),
    Hyperparameter("weight_decay", "optimizer", "weight decay", "weight decay"),
    Hyperparameter("batch_size", "train", "batch", "batch size", "items", "power", letter="B"),
    Hyperparameter("ema", "train", "EMA decay", "decay of the moving average of the weights"),
)

HYPERPARAMETERS = {entry.name: entry for entry in _TABLE}
POWERS = tuple(entry.name for entry in _TABLE if entry.role == "power")
CONTRASTS = tuple(entry.name for entry in _TABLE if entry.role == "contrast")


def axes_of(config: "Config") -> list[str]:
    """The hyperparameters that a configuration has: not every network has all, and only SGD has momentum.

    >>> from memhorizon.experiments.config import Config
    >>> axes_of(Config())
    ['n_train', 'width', 'dropout', 'lr', 'weight_decay', 'batch_size', 'ema']
    """
    return [name for name, entry in HYPERPARAMETERS.items() if entry.exists_in(config)]


def varied(runs: Sequence[RunRecord]) -> list[str]:
    """Which of the factors in powers of which times are fitted take more than one value.

    A batch that changes because there are fewer items than it could hold is not a factor by itself.
    """
    by = [factor for factor in POWERS if len({run.factor(factor) for run in runs} - {None}) > 1]
    return [factor for factor in by if factor != "batch_size" or "n_train" not in by]


def symbol_of(name: str) -> str:
    """How a figure names what is varied; any other field by its dotted name in words.

    >>> symbol_of("lr"), symbol_of("train.n_updates")
    ('learning rate', 'train.n updates')
    """
    entry = HYPERPARAMETERS.get(name)
    return name.replace("_", " ") if entry is None else entry.symbol
