"""memhorizon: when does a diffusion model stop generalizing and start copying its training set?

The public names, resolved on first use, so that `memhorizon.theory` never pays for importing torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memhorizon import theory as theory
    from memhorizon.datasets import DataConfig as DataConfig
    from memhorizon.datasets import load_split as load_split
    from memhorizon.experiments.config import Config as Config
    from memhorizon.experiments.run import run as run
    from memhorizon.experiments.sweep import grid as grid
    from memhorizon.experiments.sweep import sweep as sweep
    from memhorizon.images import load_images as load_images
    from memhorizon.measure.memorization import gap_ratios as gap_ratios
    from memhorizon.measure.memorization import memorized_fraction as memorized_fraction
    from memhorizon.measure.neighbors import nearest as nearest
    from memhorizon.measure.scaling import fit_scaling as fit_scaling
    from memhorizon.measure.timescales import generalization_time as generalization_time
    from memhorizon.measure.timescales import memorization_time as memorization_time
    from memhorizon.nets import MLPConfig as MLPConfig
    from memhorizon.results import Curve as Curve
    from memhorizon.results import Estimate as Estimate
    from memhorizon.results import Fraction as Fraction
    from memhorizon.results import InputError as InputError
    from memhorizon.results import ScalingLaw as ScalingLaw
    from memhorizon.results import Time as Time
    from memhorizon.results import Timescales as Timescales
    from memhorizon.samplers import sample as sample
    from memhorizon.samplers import samples as samples
    from memhorizon.schedule import Schedule as Schedule
    from memhorizon.training import OptimizerConfig as OptimizerConfig
    from memhorizon.training import TrainConfig as TrainConfig
    from memhorizon.training import TrainState as TrainState
    from memhorizon.training import train as train
    from memhorizon.unet import UNetConfig as UNetConfig

_HOME = {
    "Config": "experiments.config",
    "Curve": "results",
    "DataConfig": "datasets",
    "Estimate": "results",
    "Fraction": "results",
    "InputError": "results",
    "MLPConfig": "nets",
    "OptimizerConfig": "training",
    "ScalingLaw": "results",
    "Schedule": "schedule",
    "Time": "results",
    "Timescales": "results",
    "TrainConfig": "training",
    "TrainState": "training",
    "UNetConfig": "unet",
    "fit_scaling": "measure.scaling",
    "gap_ratios": "measure.memorization",
    "generalization_time": "measure.timescales",
    "grid": "experiments.sweep",
    "load_images": "images",
    "load_split": "datasets",
    "memorization_time": "measure.timescales",
    "memorized_fraction": "measure.memorization",
    "nearest": "measure.neighbors",
    "run": "experiments.run",
    "sample": "samplers",
    "samples": "samplers",
    "sweep": "experiments.sweep",
    "train": "training",
}

__all__ = ["theory", *_HOME]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version("memhorizon")
    if name == "theory":
        return import_module("memhorizon.theory")
    if name in _HOME:
        return getattr(import_module(f"memhorizon.{_HOME[name]}"), name)
    raise AttributeError(f"module 'memhorizon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
