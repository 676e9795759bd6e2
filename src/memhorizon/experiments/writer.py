"""A run directory from a training loop of the user's: any network, any quality."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.denoiser import Denoiser
from memhorizon.diffusion import Model
from memhorizon.errors import InputError
from memhorizon.experiments.environment import environment
from memhorizon.experiments.rows import rows_of, tensors_of
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.written import WrittenConfig
from memhorizon.files.plain import Row, check_path, is_there
from memhorizon.files.tensor_files import checksum
from memhorizon.measure.config import MeasureConfig
from memhorizon.measure.items import Items
from memhorizon.measure.qualities import Quality
from memhorizon.measure.reference import Reference, reference_of
from memhorizon.measure.snapshot import Observation, observe
from memhorizon.records.check import LAST_STEP
from memhorizon.records.plain import Plain
from memhorizon.schedule import Schedule


class RunWriter:
    """Writes a run directory from the training loop of its user.

    `Sweep.of`, `memhorizon report` and records read the directory like any other. Made again with the same
    arguments it goes on: a step that was observed is not observed again.

    >>> import tempfile, torch
    >>> from memhorizon.distributions import Empirical
    >>> items = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    >>> settings = MeasureConfig(n_samples=0, repeats=1, diffusion_times=(0.1,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writer = RunWriter(folder + "/run", items, seed=3, settings=settings)
    ...     seen = writer.observe(100, Denoiser.exact(Empirical(items)))
    ...     print(writer)
    RunWriter(run: 8 training and 0 held-out items, 1 snapshot up to step 100)
    """

    def __init__(
        self,
        path: str | Path,
        train: Items | Reference,
        holdout: Items | None = None,
        *,
        seed: int = 0,
        factors: Mapping[str, float | int | str | None] | None = None,
        config: Mapping[str, Plain] | None = None,
        settings: MeasureConfig | None = None,
        qualities: Mapping[str, Quality] | None = None,
        n_updates: int = 0,
    ):
        """Make the directory, or open it.

        Args:
            path: of the run directory; the run is named after it.
            train: training items as the network sees them, on its device: tensor, array, path or image set,
                [n_train, *item]; or a `Reference`, which knows the held-out set and the qualities.
            holdout: held-out items in the same unit. [n_holdout, *item]
            seed: of the training; runs of other seeds are repetitions.
            factors: the hyperparameters that runs of a sweep may differ in, by name ("lr", "batch_size",
                "width", ...): laws and contrasts are found for these. n_train and the seed are known.
            config: whatever else is worth knowing. Runs that differ in it are not compared.
            settings: how snapshots are measured; `settings.marks(n_updates)` says when.
            qualities: measures of the samples by name, each a function of (samples, held-out items) that
                returns a float or an `Estimate`; lower is better. `Rules(quality=name)` reads tau_gen off it.
            n_updates: the step that training is to end at; 0 where unknown.

        Raises:
            InputError: if an argument cannot be used, or the directory holds another run.
        """
        self._reference = reference_of(train, holdout, qualities)
        self._run = RunDir(_own_folder(check_path("path", path)))
        self._settings = settings or MeasureConfig()
        items = self._reference
        fingerprint = checksum({"train": items.train.cpu(), "holdout": items.holdout.cpu()})
        told = WrittenConfig(
            n_train=len(items.train),
            n_holdout=len(items.holdout),
            fingerprint=fingerprint,
            seed=seed,
            factors=factors or {},
            config=config or {},
            measure=self._settings,
            n_updates=n_updates,
            qualities=tuple(sorted(items.qualities)),
        )
        self._run.make_folders("path")
        with self._run.locked():
            self._run.create_written(told)
            self._run.begin(environment(items.train.device), _facts(items, fingerprint), self.last_step)
            self._run.rewind(self.last_step)

    @property
    def run(self) -> RunDir:
        """The directory."""
        return self._run

    @property
    def steps(self) -> list[int]:
        """The steps that were observed."""
        return sorted({int(row["step"]) for row in self._run.measures()})

    @property
    def last_step(self) -> int:
        """The last step that was observed; 0 before the first."""
        return max(self.steps, default=0)

    def observe(
        self, step: int, model: Denoiser | Model, *, schedule: Schedule | None = None
    ) -> Observation | None:
        """Measure the network after so many updates and write what is seen.

        Noise and samples start from the same seeds at every step, so that differences along training are due
        to the network. The mode of the network (dropout) is the caller's.

        Args:
            step: updates done, more than at the last observation.
            model: a `Denoiser`, or a network model(x_t, index) that predicts the noise, with its schedule.
            schedule: of a network that is no Denoiser.

        Returns:
            What was seen; None where this step was observed before.

        Raises:
            InputError: if the step lies before the last one, or the network cannot be measured.
        """
        step = check_whole("step", step, least=1, most=int(LAST_STEP))
        with self._run.locked() as hold:
            if step in self.steps:
                return None
            self._check_next(step)
            seen = observe(model, self._reference, settings=self._settings, schedule=schedule)
            hold.check()
            self._run.write_samples(step, tensors_of(seen.shown))
            self._run.append_measures([{"step": step, **row} for row in rows_of(seen)])
        return seen

    def _check_next(self, step: int) -> None:
        """Refuse a step at which nothing can be observed any more."""
        if self._run.done:
            raise InputError(
                f"step: expected one of {self.steps}, for {self._run.path} is finished, got {step}; "
                f"rewind({self.last_step}) lets it be trained on"
            )
        self._check_later(step)

    def _check_later(self, step: int) -> None:
        if step < self.last_step:
            raise InputError(
                f"step: expected more than {self.last_step}, the last one observed in {self._run.path}, "
                f"got {step}; rewind({step}) forgets what lies after"
            )

    def rewind(self, step: int) -> None:
        """Forget what was observed after a step, where training resumes from a checkpoint before it.

        Args:
            step: of the checkpoint; 0 forgets everything.

        Raises:
            InputError: if another process is writing.
        """
        step = check_whole("step", step, least=0)
        with self._run.locked():
            self._run.reopen()
            self._run.rewind(step)

    def finish(self) -> None:
        """Mark the run as done: it is known then if rows are lost or changed later.

        Raises:
            InputError: if another process is writing.
        """
        with self._run.locked():
            self._run.finish({"step": self.last_step, "skipped": []})

    def __repr__(self) -> str:
        items = self._reference
        sizes = f"{len(items.train)} training and {len(items.holdout)} held-out items"
        count = len(self.steps)
        seen = f"{count} snapshot{'' if count == 1 else 's'} up to step {self.last_step}"
        return f"RunWriter({self._run.path.name}: {sizes}, {seen})"


def _own_folder(path: Path) -> Path:
    """Refuse the folder of other runs, which would no longer be found below a run.

    Raises:
        InputError: if it is one.
    """
    try:
        holds_others = not is_there(path / "config.json") and any(path.glob("*/config.json"))
    except OSError:  # what no folder can be is said where it is made
        return path
    if holds_others:
        raise InputError(f"path: expected the directory of one run, got {str(path)!r}, which holds others")
    return path


def _facts(items: Reference, fingerprint: str) -> Row:
    """What is known of the items, as data.json has it."""
    return {
        "fingerprint": fingerprint,
        "n_train": len(items.train),
        "n_holdout": len(items.holdout),
        "duplicates": _duplicates(items.train_group),
    }


def _duplicates(group: Tensor) -> Row:
    size = group.bincount()
    shared = size[size > 1]
    return {"items": int(shared.sum()), "groups": len(shared), "largest": int(size.max())}
