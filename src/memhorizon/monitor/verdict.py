"""From looks to a verdict: pure functions of the history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memhorizon.monitor.choice import SLOW, generalizes, has_learned, latest_sampled
from memhorizon.monitor.stopping import stop_of
from memhorizon.records.monitor import Look, Phase, Stop, Verdict, percent

STRETCH = 1.5  # factor in steps over which, and over three looks, the loss hardly falls in the window


@dataclass(frozen=True)
class Finding:
    """A verdict whose reason is in parts, since the samples of a certificate may be drawn after it.

    Attributes:
        reached: the verdict; its reason tells the course of the training alone.
        samples: what the latest samples showed.
        past: that the best checkpoint lies behind; empty elsewhere.
        certificates: what the samples of certificates of other looks showed since; empty without any.
    """

    reached: Verdict
    samples: str = ""
    past: str = ""
    certificates: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict with its whole reason."""
        parts = (self.reached.reason, self.samples, self.past, self.certificates)
        return replace(self.reached, reason=_joined(*parts))

    @classmethod
    def of_whole(cls, verdict: Verdict, looks: Sequence[Look]) -> "Finding":
        """The parts of a verdict whose reason is one text, as earlier versions kept it."""
        course, samples, past = verdict.reason.partition(_seen(looks))
        return cls(replace(verdict, reason=course.strip()), samples, past.strip())

    def certified(self, look: Look) -> "Finding":
        """The same verdict, which also tells of the samples of a certificate of one of its looks."""
        told = samples_of(look)
        if look.step != self.reached.evidence.get("copies_step"):
            return replace(self, certificates=_joined(self.certificates, told))
        evidence = {**self.reached.evidence, **_samples_in_numbers(look)}
        return replace(self, reached=replace(self.reached, evidence=evidence), samples=told)


NOTHING = Finding(Verdict(Phase.CANNOT_TELL, 0, "There was no look yet."))


def finding_of(looks: Sequence[Look], *, target: float, crossed: bool, null: float = 0.0) -> Finding:
    """Say where the training is after these looks.

    Args:
        looks: so far, in order; of the last one `phase` and `stop` are not looked at.
        target: largest share of copies that is fine.
        crossed: whether the e-process has crossed its limit.
        null: share of honest samples that are called copies.
    """
    if not looks:
        return NOTHING
    stop = stop_of(looks, crossed=crossed, null=null)
    phase, course = _phase(looks, target, crossed)
    reached = Verdict(phase, looks[-1].step, course, stop, evidence_of(looks))
    return Finding(reached, _seen(looks), stop.sentence if stop is Stop.PASSED else "")


def evidence_of(looks: Sequence[Look]) -> dict[str, float]:
    """The numbers that a verdict rests on, by name; those that are not known are left out."""
    now = looks[-1]
    numbers = {
        "holdout_loss": now.holdout_loss,
        "train_loss": now.train_loss,
        "rise": now.rise,
        "rise_error": now.rise_error,
        "gap": now.gap,
        "gap_error": now.gap_error,
        "log_e": now.log_e,
    }
    known = {name: float(value) for name, value in numbers.items() if not math.isnan(value)}
    sampled = latest_sampled(looks)
    return known if sampled is None else known | _samples_in_numbers(sampled)


def _samples_in_numbers(look: Look) -> dict[str, float]:
    """What the samples of a look showed, by name; nothing where it has none."""
    if look.copies is None:
        return {}
    numbers = {
        "copies": look.copies.count,
        "samples": look.copies.total,
        "copies_upper": look.upper,
        "copies_step": look.step,
    }
    return {name: float(value) for name, value in numbers.items() if not math.isnan(value)}


def _phase(looks: Sequence[Look], target: float, crossed: bool) -> tuple[Phase, str]:
    """The phase, and the course of the training that shows it, in a sentence."""
    if crossed:
        proof = f"More than {100 * target:g} % of the samples are copies, beyond what honest samples show."
        return Phase.MEMORIZING, proof
    measured = [look for look in looks if look.losses or not math.isnan(look.holdout_loss)]
    known = [look for look in measured if math.isfinite(look.holdout_loss)]
    if measured and _is_broken(measured[-1]):
        return Phase.CANNOT_TELL, "The network returns values that are not finite."
    if not known:
        return Phase.CANNOT_TELL, _without_holdout(measured)
    if len(known) < 2:
        return Phase.CANNOT_TELL, "One look at the losses is not enough."
    return _phase_of_losses(looks, known)


def _is_broken(look: Look) -> bool:
    """Whether a network gave values that are not finite."""
    return bool(look.losses) and not math.isfinite(look.train_loss) or math.isinf(look.holdout_loss)


def _without_holdout(measured: Sequence[Look]) -> str:
    if measured and not any(map(generalizes, measured)):
        return nothing_learned(measured[-1])
    return "Without held-out images learning cannot be seen."


def _phase_of_losses(looks: Sequence[Look], known: Sequence[Look]) -> tuple[Phase, str]:
    """The phase that held-out losses show, of two looks at least.

    In the window the loss has fallen by at most 5 % over a factor of 1.5 in steps, over three looks at least.
    """
    now = known[-1]
    before = _before(known)
    fall = 1 - now.holdout_loss / before.holdout_loss if before.holdout_loss > 0 else 0.0
    loss = f"The held-out loss is {now.holdout_loss:.4g}"
    if fall > SLOW:
        words = f"{loss}, down from {before.holdout_loss:.4g} at step {before.step:,}."
        return Phase.LEARNING, words
    if not any(map(generalizes, known)):
        return Phase.CANNOT_TELL, nothing_learned(now)
    if _is_short(known, before):
        words = f"{loss}; whether it still falls takes three looks over a factor of {STRETCH:g} in steps."
        return Phase.CANNOT_TELL, words
    if latest_sampled(looks) is None:
        return Phase.CANNOT_TELL, f"{loss} and hardly falls any more."
    return Phase.WINDOW, f"{loss}, {_change(now, known)}."


def _change(now: Look, known: Sequence[Look]) -> str:
    """The held-out loss beside those before it, in words."""
    if now.rise > 0:
        return f"{100 * now.rise:.2g} % above its minimum"
    losses = [look.holdout_loss for look in known]
    if math.isclose(min(losses), max(losses), rel_tol=1e-6):
        return "the same at every look"
    return "the lowest so far"


def nothing_learned(look: Look) -> str:
    """That a network is no better than a constant output, and what may be the cause, in words."""
    has_holdout = not math.isnan(look.holdout_loss)
    loss = look.holdout_loss if has_holdout else look.train_loss
    which = "held-out" if has_holdout else "training"
    seen = f"The {which} loss is {loss:.4g}, not below the {look.trivial_loss:.4g} of a constant output"
    if has_learned(look):
        return f"{seen}: what the network has learned of its training images does not hold for others."
    return (
        f"{seen}: the network is not trained yet, the Denoiser is made with another prediction than it has, "
        "or the images have another scale than those it is trained on."
    )


def _before(known: Sequence[Look]) -> Look:
    """The latest look that is early enough to read a fall from, another one between; else the first."""
    now = known[-1]
    early = [look for look in known[:-2] if now.step >= STRETCH * look.step]
    return early[-1] if early else known[0]


def _is_short(known: Sequence[Look], before: Look) -> bool:
    """Whether there are too few looks to tell that a loss hardly falls."""
    return len(known) < 3 or known[-1].step < STRETCH * before.step


def _seen(looks: Sequence[Look]) -> str:
    """What the latest samples showed, in a sentence."""
    look = latest_sampled(looks)
    if look is None or look.copies is None:
        return "No samples were drawn yet."
    return samples_of(look)


def samples_of(look: Look) -> str:
    """What the samples of a look showed, in a sentence; empty where it has none."""
    if look.copies is None:
        return ""
    seen = f"{look.copies.count} of {look.copies.total:,} samples at step {look.step:,} are copies"
    return f"{seen} (at most {percent(look.upper)})."


def _joined(*parts: str) -> str:
    """Sentences one after the other; those that are empty are left out."""
    return " ".join(part for part in parts if part)
