"""Pictures of records: one function per figure, each returns its numbers (.frame()) and drawing (.plot())."""

from memhorizon.figures.clocks import clocks, collapse
from memhorizon.figures.contrasts import contrasts
from memhorizon.figures.laws import laws
from memhorizon.figures.losses import losses
from memhorizon.figures.phase import phase
from memhorizon.figures.registry import of
from memhorizon.figures.samples import samples
from memhorizon.figures.style import Picture, save, svg

__all__ = [
    "Picture",
    "clocks",
    "collapse",
    "contrasts",
    "laws",
    "losses",
    "of",
    "phase",
    "samples",
    "save",
    "svg",
]
