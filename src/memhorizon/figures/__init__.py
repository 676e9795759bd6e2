"""Pictures of records: one function per figure, each returns its numbers (.frame()) and drawing (.plot())."""

from memhorizon.figures.collapse import collapse
from memhorizon.figures.contrasts import contrasts
from memhorizon.figures.laws import laws
from memhorizon.figures.losses import losses
from memhorizon.figures.phase import phase
from memhorizon.figures.picture import Picture
from memhorizon.figures.registry import of
from memhorizon.figures.samples import samples
from memhorizon.figures.style import save, svg
from memhorizon.figures.timescales import timescales

__all__ = [
    "Picture",
    "collapse",
    "contrasts",
    "laws",
    "losses",
    "of",
    "phase",
    "samples",
    "save",
    "svg",
    "timescales",
]
