"""What follows from a look: the verdict, what is kept, and the certificate of a checkpoint that was kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from memhorizon.monitor.answers import Answers, tags_of
from memhorizon.monitor.choice import best_look, has_learned
from memhorizon.monitor.failures import Failures
from memhorizon.monitor.keeper import Keeper
from memhorizon.monitor.keeping import put_back, weights_of
from memhorizon.monitor.looks import Purse
from memhorizon.monitor.metering import Meter
from memhorizon.monitor.sampling import Sampling, Taken
from memhorizon.monitor.settings import MonitorSettings
from memhorizon.monitor.state import Memory
from memhorizon.monitor.subject import Subject
from memhorizon.monitor.verdict import Finding, finding_of, nothing_learned
from memhorizon.records.monitor import Look, Stop


@dataclass(frozen=True, eq=False)
class Concluder:
    """Concludes from looks, and at the end from all of them.

    Attributes:
        settings: of the monitor.
        null: share of honest samples that the test for the stop allows for.
        log: called with the numbers of a look and its step; None for nothing.
        sampling: takes the samples of certificates.
        keeper: keeps weights and files.
        answers: gives the record.
        meter: of the time that files take.
        failures: where these are noted.
    """

    settings: MonitorSettings
    null: float
    log: Callable[[dict[str, float], int], object] | None
    sampling: Sampling
    keeper: Keeper
    answers: Answers
    meter: Meter
    failures: Failures

    def conclude(self, memory: Memory, look: Look, subject: Subject) -> None:
        """Reach the verdict, keep what is worth keeping, and write down what was seen."""
        best = best_look(memory.looks, self.settings.target)
        was = memory.verdict.stop
        look = self._remembered(memory, look)
        self._keep(memory, look, subject, best)
        is_new_stop = look.stop is not Stop.NO and was is Stop.NO
        # at the stop, with what is left of the budget
        if is_new_stop:
            self._certify_kept(memory, subject, memory.purse)
        # a verdict that ends the training is written whatever it costs
        if look.stop is not was or memory.purse.may_write():
            self._write(memory)
        self._tell(memory, look)

    def _tell(self, memory: Memory, look: Look) -> None:
        """Hand the numbers of a look to the log of the user."""
        if self.log is not None:
            with self.failures.noted(memory, "log"):
                self.log(tags_of(look, memory), look.step)

    def finish(self, memory: Memory, subject: Subject) -> None:
        """Certify what was kept, whatever the budget, and write all files."""
        self._certify_kept(memory, subject, memory.purse.without_limit())
        self.keeper.keep_best_again(memory, self.answers.best(memory))
        self.warn_untrained(memory)
        self._write(memory)

    def warn_untrained(self, memory: Memory) -> None:
        """Warn of a network that at every look so far is no better than a constant output."""
        looks = memory.looks
        if looks and not any(map(has_learned, looks)):
            words = f"step {looks[-1].step:,}: {nothing_learned(looks[-1])} No look is certified"
            self.failures.once(memory, "untrained", words)

    def _remembered(self, memory: Memory, look: Look) -> Look:
        """Remember a look with the verdict after it."""
        memory.finding = self._finding_with(memory, look)
        look = replace(
            look,
            phase=memory.verdict.phase,
            stop=memory.verdict.stop,
            train_seconds=memory.purse.train_seconds,
            monitor_seconds=memory.purse.spent,
        )
        memory.looks.append(look)
        return look

    def _finding_with(self, memory: Memory, look: Look) -> Finding:
        """What is found after a look; a training that was to stop is to stop ever after."""
        finding = finding_of(
            [*memory.looks, look],
            target=self.settings.target,
            crossed=memory.test.crossed,
            null=self.null,
        )
        if finding.reached.stop is not Stop.NO:
            return finding
        return replace(finding, reached=replace(finding.reached, stop=memory.verdict.stop))

    def _keep(self, memory: Memory, look: Look, subject: Subject, before: Look | None) -> None:
        """Keep the weights of the last look if it is the best, or a candidate.

        Args:
            memory: of the monitor.
            look: that was remembered.
            subject: the network.
            before: the best look without this one.
        """
        best = best_look(memory.looks, self.settings.target)
        if best is not None and best is not before:
            self._keep_best(memory, best, subject)
        self.keeper.keep_candidate(memory, look, subject)

    def _keep_best(self, memory: Memory, best: Look, subject: Subject) -> None:
        if self.keeper.root is not None:
            self.keeper.keep_best(memory, best, weights_of(subject.networks))

    def _write(self, memory: Memory) -> None:
        """Write the record and the pictures of sheets, where there is a folder for them."""
        if self.keeper.root is None:
            return
        with self.meter.timed() as seconds:
            self.keeper.write(memory, self.answers.record)
        memory.purse.paid_files(seconds[0])

    def _certify_kept(self, memory: Memory, subject: Subject, purse: Purse) -> None:
        """Certify the candidates whose weights were kept, the lowest first, until one has a certificate.

        Args:
            memory: of the monitor.
            subject: the network.
            purse: that has to pay for it.
        """
        for step in reversed(memory.candidates):
            look = next(look for look in memory.looks if look.step == step)
            best = best_look(memory.looks, self.settings.target)
            if best is not None and best.holdout_loss <= look.holdout_loss:
                return
            is_spent = memory.certificates >= self.settings.most_certificates
            if look.certified or is_spent or not has_learned(look):
                continue
            if not purse.may_end_with(self.sampling.judge.first_size):
                return
            if not self.keeper.holds(look):
                words = f"step {step:,}: its weights are not in the folder any more; it is not certified"
                self.failures.once(memory, "candidate", words)
                continue
            self._certify_candidate(memory, look, subject, purse)

    def _certify_candidate(self, memory: Memory, look: Look, subject: Subject, purse: Purse) -> None:
        """Certify an earlier look with its weights; the network gets its own ones back, whatever happens."""
        now = weights_of(subject.networks)
        try:
            put_back(subject.networks, self.keeper.candidate_weights(look.step))
            self._certify(memory, look, subject, purse)
        finally:
            put_back(subject.networks, now)

    def _certify(self, memory: Memory, look: Look, subject: Subject, purse: Purse) -> None:
        """Draw the samples of a certificate of an earlier look, whose weights the network has."""
        place = memory.looks.index(look)
        taken = Taken.joined(self.sampling.for_certificate(memory, subject, purse))
        look = self.sampling.certified(memory, look, taken)
        memory.looks[place] = look
        memory.finding = memory.finding.certified(look)
        if best_look(memory.looks, self.settings.target) is look:
            self._keep_best(memory, look, subject)
