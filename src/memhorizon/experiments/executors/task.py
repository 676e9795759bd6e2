"""A job on its way to another machine."""

import os
import signal
from dataclasses import dataclass
from importlib import import_module

import torch

from memhorizon.experiments.executors.base import Job, reason
from memhorizon.experiments.executors.table import attempt
from memhorizon.experiments.locks import BusyError

BUSY = "busy"  # what a task returns where another process is doing its job
RETRIES = 3  # of a job whose worker is lost: more often than that it is the job that takes it down
PAUSE = 15.0  # seconds until a job that another process is doing is asked for again


@dataclass(frozen=True)
class Task:
    """A job as it is sent: it is done in the folder from which it was sent, with so many threads.

    Attributes:
        job: what is to be done.
        device: where to compute; None for the choice of the job.
        folder: relative paths are meant from here; every machine has to see it.
        threads: of the computation.
    """

    job: Job
    device: str | None
    folder: str
    threads: int = 1

    @classmethod
    def of(cls, job: Job, device: str | None, threads: int = 1) -> "Task":
        """The task of a job that is sent from this process."""
        return cls(job, device, os.getcwd(), threads)  # noqa: PTH109  it may be gone, and says so then

    def __call__(self) -> str:
        """Do the job; return why it failed, empty where it did not."""
        try:
            os.chdir(self.folder)
            torch.set_num_threads(self.threads)
            for _ in attempt(self.job, self.device):
                pass
        except BusyError:
            return BUSY
        except Exception as error:  # noqa: BLE001  whatever ends a job ends this job only
            return reason(error)
        return ""

    def checkpoint(self) -> object:
        """What is to be done after a time limit: the same, which resumes from the state of the run.

        The command that puts the task back into the queue is then among what Slurm ends, so it is to inherit
        that SIGTERM is ignored; and where the signal comes twice, one such command is enough.
        """
        for number in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        return import_module("submitit.helpers").DelayedSubmission(self)
