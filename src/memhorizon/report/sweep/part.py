"""What every part of the page of a sweep is made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.labels import label_of
from memhorizon.figures.picture import Picture
from memhorizon.figures.reading import number, varied
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.report.parts import picture, section


@dataclass(frozen=True)
class Part:
    """Runs that can be compared with each other, and the part of the page that is about them.

    Attributes:
        record: the runs.
        runs: their directories, for the generated images.
        name: of the part, within the names of its pictures.
        level: of the headings.
    """

    record: SweepRecord
    runs: Sequence[RunDir]
    name: str
    level: int

    def section(self, title: str, *parts: str) -> str:
        """A section at the level of this part; empty where there is nothing in it."""
        return section(title, *parts, level=self.level)

    def picture(self, name: str, make: Callable[[], Picture], caption: str, alt: str) -> str:
        """A picture with its caption, or why there is none."""
        return picture(f"{self.name}-{name}", make, caption, alt)

    @property
    def factors(self) -> list[str]:
        """The hyperparameters that were varied beside n."""
        names = [*varied(self.record), *(contrast.factor for contrast in self.record.contrasts)]
        return [name for name in dict.fromkeys(names) if name != "n_train"]

    @property
    def setting_heads(self) -> list[str]:
        """The first columns of a table with a row per run."""
        return ["n", *(label_of(name) for name in self.factors), "seed"]

    def setting_cells(self, run: RunRecord) -> list[str]:
        """What tells a run from the others."""
        values = [number(run, name) for name in self.factors]
        cells = ["–" if value is None else f"{value:g}" for value in values]
        return [f"{run.n_train:,}", *cells, str(run.seed)]
