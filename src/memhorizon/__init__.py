"""memhorizon: when does a diffusion model stop generalizing and start copying its training set?

The public names, resolved on first use, so that `memhorizon.theory` never pays for importing torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memhorizon import integrations as integrations
    from memhorizon import metrics as metrics
    from memhorizon import theory as theory
    from memhorizon.audits import AuditReport as AuditReport
    from memhorizon.audits import audit as audit
    from memhorizon.datasets.config import DataConfig as DataConfig
    from memhorizon.datasets.split import Split as Split
    from memhorizon.datasets.split import load_split as load_split
    from memhorizon.denoiser import Denoiser as Denoiser
    from memhorizon.errors import InputError as InputError
    from memhorizon.errors import MissingExtraError as MissingExtraError
    from memhorizon.experiments.config import Config as Config
    from memhorizon.experiments.executors import Inline as Inline
    from memhorizon.experiments.executors import Local as Local
    from memhorizon.experiments.executors import Ray as Ray
    from memhorizon.experiments.executors import Slurm as Slurm
    from memhorizon.experiments.record import read_again as read_again
    from memhorizon.experiments.run import run as run
    from memhorizon.experiments.sweep import grid as grid
    from memhorizon.experiments.writer import RunWriter as RunWriter
    from memhorizon.files.images import load_images as load_images
    from memhorizon.forecasting.answers import ForecastTime as ForecastTime
    from memhorizon.forecasting.answers import NextPilot as NextPilot
    from memhorizon.forecasting.answers import PilotTime as PilotTime
    from memhorizon.forecasts import Forecast as Forecast
    from memhorizon.forecasts import forecast as forecast
    from memhorizon.measure.config import MeasureConfig as MeasureConfig
    from memhorizon.measure.duplicates import duplicate_groups as duplicate_groups
    from memhorizon.measure.memorization import gap_ratios as gap_ratios
    from memhorizon.measure.memorization import memorized_fraction as memorized_fraction
    from memhorizon.measure.neighbors import nearest as nearest
    from memhorizon.measure.reference import Reference as Reference
    from memhorizon.measure.snapshot import Observation as Observation
    from memhorizon.measure.snapshot import observe as observe
    from memhorizon.monitor.looks import LookPlan as LookPlan
    from memhorizon.monitor.monitor import Monitor as Monitor
    from memhorizon.networks.mlp import MLPConfig as MLPConfig
    from memhorizon.networks.random_features import FeaturesConfig as FeaturesConfig
    from memhorizon.networks.unet import UNetConfig as UNetConfig
    from memhorizon.plans import Plan as Plan
    from memhorizon.plans import plan as plan
    from memhorizon.records.files import load_record as load_record
    from memhorizon.results import Curve as Curve
    from memhorizon.results import Estimate as Estimate
    from memhorizon.results import Fraction as Fraction
    from memhorizon.results import ScalingLaw as ScalingLaw
    from memhorizon.results import Status as Status
    from memhorizon.results import Time as Time
    from memhorizon.results import Timescales as Timescales
    from memhorizon.samplers import SamplerConfig as SamplerConfig
    from memhorizon.samplers import sample as sample
    from memhorizon.samplers import sample_path as sample_path
    from memhorizon.schedule import Schedule as Schedule
    from memhorizon.schedule import ScheduleConfig as ScheduleConfig
    from memhorizon.sweeps import Sweep as Sweep
    from memhorizon.sweeps import sweep as sweep
    from memhorizon.timescales.power_law import fit_scaling as fit_scaling
    from memhorizon.timescales.rules import Rules as Rules
    from memhorizon.timescales.times import generalization_time as generalization_time
    from memhorizon.timescales.times import memorization_time as memorization_time
    from memhorizon.training import OptimizerConfig as OptimizerConfig
    from memhorizon.training import TrainConfig as TrainConfig
    from memhorizon.training import TrainState as TrainState
    from memhorizon.training import train as train

    __version__: str

# Each public name, and the module that defines it.
_HOME = {
    "AuditReport": "audits",
    "Config": "experiments.config",
    "Curve": "results",
    "DataConfig": "datasets.config",
    "Denoiser": "denoiser",
    "Estimate": "results",
    "FeaturesConfig": "networks.random_features",
    "Forecast": "forecasts",
    "ForecastTime": "forecasting.answers",
    "Fraction": "results",
    "Inline": "experiments.executors",
    "InputError": "errors",
    "Local": "experiments.executors",
    "LookPlan": "monitor.looks",
    "MLPConfig": "networks.mlp",
    "MeasureConfig": "measure.config",
    "MissingExtraError": "errors",
    "Monitor": "monitor.monitor",
    "Observation": "measure.snapshot",
    "NextPilot": "forecasting.answers",
    "OptimizerConfig": "training",
    "PilotTime": "forecasting.answers",
    "Plan": "plans",
    "Ray": "experiments.executors",
    "Reference": "measure.reference",
    "RunWriter": "experiments.writer",
    "Rules": "timescales.rules",
    "SamplerConfig": "samplers",
    "ScalingLaw": "results",
    "Schedule": "schedule",
    "ScheduleConfig": "schedule",
    "Slurm": "experiments.executors",
    "Split": "datasets.split",
    "Status": "results",
    "Sweep": "sweeps",
    "Time": "results",
    "Timescales": "results",
    "TrainConfig": "training",
    "TrainState": "training",
    "UNetConfig": "networks.unet",
    "audit": "audits",
    "duplicate_groups": "measure.duplicates",
    "fit_scaling": "timescales.power_law",
    "forecast": "forecasts",
    "gap_ratios": "measure.memorization",
    "generalization_time": "timescales.times",
    "grid": "experiments.sweep",
    "load_images": "files.images",
    "load_record": "records.files",
    "load_split": "datasets.split",
    "memorization_time": "timescales.times",
    "memorized_fraction": "measure.memorization",
    "nearest": "measure.neighbors",
    "observe": "measure.snapshot",
    "plan": "plans",
    "read_again": "experiments.record",
    "run": "experiments.run",
    "sample": "samplers",
    "sample_path": "samplers",
    "sweep": "sweeps",
    "train": "training",
}

_MODULES = ("integrations", "metrics", "theory")

__all__ = [*_MODULES, *_HOME]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version("memhorizon")
    if name in _MODULES:
        return import_module(f"memhorizon.{name}")
    if name in _HOME:
        return getattr(import_module(f"memhorizon.{_HOME[name]}"), name)
    raise AttributeError(f"module 'memhorizon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
