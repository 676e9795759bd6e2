"""Who does the jobs: an executor takes jobs and yields the outcome of each as it ends."""

from memhorizon.experiments.executors.base import Executor, Job, Outcome
from memhorizon.experiments.executors.inline import Inline
from memhorizon.experiments.executors.local import Local
from memhorizon.experiments.executors.ray import Ray
from memhorizon.experiments.executors.slurm import Slurm

__all__ = ["Executor", "Inline", "Job", "Local", "Outcome", "Ray", "Slurm"]
