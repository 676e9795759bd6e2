"""Who does the runs, by flags."""

from dataclasses import dataclass, fields

from memhorizon.errors import InputError
from memhorizon.experiments.executors import Executor
from memhorizon.experiments.executors.named import ExecutorName, executor_of


@dataclass(frozen=True)
class ExecutorFlags:
    """Who does the runs; an option that the executor does not have is refused.

    Attributes:
        executor: "local" (processes of this machine, the default), "inline" (this process), "slurm" or "ray".
        processes: of local: how many at once; one per core by default.
        per_gpu: of local: how many share a CUDA device.
        pin: of local: each process stays on one core.
        partition: of slurm: where the tasks go.
        time: of slurm: the time limit of a task, such as 4h or 90m; the next one resumes after it.
        memory: of slurm: memory of a run, such as 16G.
        at_once: of slurm: how many runs at most at the same time.
        sbatch: of slurm: further options of sbatch, NAME=VALUE.
        address: of ray: the cluster; by default the one that this machine belongs to, or a new one on it.
        gpus: of slurm and ray: GPUs of a run; of ray also a fraction.
        cpus: of slurm and ray: cores of a run, and its threads.
    """

    executor: ExecutorName | None = None
    processes: int | None = None
    per_gpu: int | None = None
    pin: bool = False
    partition: str | None = None
    time: str | None = None
    memory: str | None = None
    at_once: int | None = None
    sbatch: tuple[str, ...] = ()
    address: str | None = None
    gpus: float | None = None
    cpus: int | None = None

    def build(self) -> Executor | None:
        """The executor; None where nothing is asked for.

        Raises:
            InputError: if it does not have an option, or cannot be used here.
            MissingExtraError: if the package of its engine is not installed.
        """
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        name = given.pop("executor")
        options = {option: value for option, value in given.items() if value not in (None, False, ())}
        if name is None and not options:
            return None
        if "gpus" in options and float(options["gpus"]).is_integer():
            options["gpus"] = int(options["gpus"])
        if "sbatch" in options:
            options["sbatch"] = dict(_pair(word) for word in self.sbatch)
        return executor_of(name or "local", options)


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals and value):
        raise InputError(f"sbatch: expected NAME=VALUE, such as account=abc, got {word!r}")
    return name.removeprefix("--"), value
