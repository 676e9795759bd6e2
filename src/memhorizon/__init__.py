"""memhorizon: when does a diffusion model stop generalizing and start copying its training set?

The public names, resolved on first use, so that `memhorizon.theory` never pays for importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memhorizon import theory as theory
    from memhorizon.results import Curve as Curve
    from memhorizon.results import Estimate as Estimate
    from memhorizon.results import Fraction as Fraction
    from memhorizon.results import InputError as InputError
    from memhorizon.results import ScalingLaw as ScalingLaw
    from memhorizon.results import Time as Time
    from memhorizon.results import Timescales as Timescales

_HOME = {
    "Curve": "results",
    "Estimate": "results",
    "Fraction": "results",
    "InputError": "results",
    "ScalingLaw": "results",
    "Time": "results",
    "Timescales": "results",
}

__all__ = ["theory", *_HOME]


def __getattr__(name: str) -> object:
    if name == "theory":
        return import_module("memhorizon.theory")
    if name in _HOME:
        return getattr(import_module(f"memhorizon.{_HOME[name]}"), name)
    raise AttributeError(f"module 'memhorizon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
