"""The flags that say how the two times are read."""

from dataclasses import dataclass, replace
from typing import Literal

from memhorizon.errors import InputError
from memhorizon.timescales.rules import AT_A_TIME, OF_SAMPLES, Rules


@dataclass(frozen=True)
class RuleFlags:
    """How the two times are read; what is not given is as in the record beside the runs, or the default.

    Level and diffusion time belong to a quality: where another one is asked for than the record has, they
    are the default ones of that quality.

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

    def check_none_for_a_record(self) -> None:
        """Refuse rules for the file of a record.

        Raises:
            InputError: if any was given.
        """
        if self != RuleFlags():
            raise InputError(
                "rules: expected none with the record of a file, which holds its times already; give the "
                "folder of its runs in its place"
            )

    def over(self, rules: Rules | None) -> Rules | None:
        """The rules with what was given in place of theirs; None where nothing is known of either."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if self.quality is not None and self.quality not in AT_A_TIME:
            given["t"] = None
        return replace(self._base(rules), **given) if given else rules

    def _base(self, rules: Rules | None) -> Rules:
        """What the flags are given over: the rules of the record as far as they fit the quality asked for."""
        if rules is None:
            return self._usual()
        if self.quality in (None, rules.quality):
            return rules
        return replace(self._usual(), memorized=rules.memorized)

    def _usual(self) -> Rules:
        """The default rules of the quality that is asked for."""
        return Rules.of_samples(self.quality) if self.quality in OF_SAMPLES else Rules()
