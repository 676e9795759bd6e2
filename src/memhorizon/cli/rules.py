"""The flags that say how the two times are read."""

from dataclasses import dataclass, replace
from typing import Literal

from memhorizon.errors import InputError
from memhorizon.timescales.rules import AT_A_TIME, OF_SAMPLES, Rules


@dataclass(frozen=True)
class RuleFlags:
    """How the two times are read; what is not given is as in the record beside the runs, or the default.

    Level and diffusion time belong to a quality: where another one is asked for than the record has, they
    are the default ones of that quality. A diffusion time alone asks for the held-out loss there.

    Attributes:
        quality: the curve that tau_gen is read from: holdout, score_error, frechet, frechet_classifier or kl.
        t: the diffusion time of that curve, where it has one.
        tolerance: the level of quality is this share above the best value that relative_to names.
        relative_to: worst (of the runs' best values: every run reaches the level) or best (of any run).
        memorized: tau_mem is where the memorized fraction is this much above its null.
    """

    quality: str | None = None
    t: float | None = None
    tolerance: float | None = None
    relative_to: Literal["worst", "best"] | None = None
    memorized: float | None = None

    @property
    def are_given(self) -> bool:
        """Whether any is."""
        return self != RuleFlags()

    def check_none_for_a_record(self) -> None:
        """Refuse rules for the file of a record.

        Raises:
            InputError: if any was given.
        """
        if self.are_given:
            raise InputError(
                "rules: expected none with the record of a file, which holds its times already; give the "
                "folder of its runs in its place"
            )

    def over(self, rules: Rules) -> Rules:
        """The rules with what was given in place of theirs.

        Raises:
            InputError: if a diffusion time is given for a quality that has none.
        """
        given = {name: value for name, value in vars(self).items() if value is not None}
        if not given:
            return rules
        base = self._base(rules)
        if self.t is not None and base.quality not in AT_A_TIME:
            raise InputError(f"rules.t: expected none with {base.quality}, which has no diffusion time")
        return replace(base, **given)

    def _base(self, rules: Rules) -> Rules:
        """What the flags are given over: these rules as far as they fit the quality asked for."""
        asked = self.quality
        if asked is None and self.t is not None and rules.quality not in AT_A_TIME:
            asked = Rules.quality  # a time alone asks for the held-out loss there
        if asked in (None, rules.quality):
            return rules
        return replace(usual_of(asked), memorized=rules.memorized)


def usual_of(quality: str) -> Rules:
    """The default rules of a quality."""
    if quality in OF_SAMPLES:
        return Rules.of_samples(quality)
    if quality == "kl":  # of samples as well, but its floor differs from run to run
        return Rules(quality, t=None, tolerance=1.0)
    return Rules(quality) if quality in AT_A_TIME else Rules(quality, t=None)
