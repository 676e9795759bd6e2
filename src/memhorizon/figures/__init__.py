"""Pictures of records: one function per figure, each returns its numbers (.frame()) and drawing (.plot())."""

from memhorizon.figures.clocks import clocks, collapse
from memhorizon.figures.laws import laws, phase
from memhorizon.figures.losses import losses
from memhorizon.figures.samples import samples
from memhorizon.figures.style import Picture, save, svg

__all__ = ["Picture", "clocks", "collapse", "laws", "losses", "phase", "samples", "save", "svg"]
