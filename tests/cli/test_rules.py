"""Flags given over the rules that lie beside runs."""

from dataclasses import replace

import pytest

from memhorizon.cli.rules import RuleFlags
from memhorizon.errors import InputError
from memhorizon.recipes.sweeps import ENTRIES
from memhorizon.timescales.rules import Rules


def test_another_quality_has_its_own_level_and_time():
    """Twice the best Frechet distance means nothing for a loss, and a loss has a diffusion time."""
    stored = Rules("frechet", None, tolerance=1.0, memorized=0.2, relative_to="best")
    assert RuleFlags(quality="holdout").over(stored) == Rules(memorized=0.2)
    stored = Rules(t=0.3, memorized=0.2)
    assert RuleFlags(quality="frechet").over(stored) == Rules("frechet", None, 1.0, 0.2, "best")


def test_what_is_given_wins():
    stored = Rules.of_samples()
    given = RuleFlags(quality="holdout", t=0.3, tolerance=0.2, relative_to="best", memorized=0.3)
    assert given.over(stored) == Rules("holdout", 0.3, 0.2, 0.3, "best")


def test_of_the_same_quality_the_rest_is_kept():
    stored = Rules("frechet", None, tolerance=0.5, memorized=0.2, relative_to="worst")
    assert RuleFlags(quality="frechet").over(stored) == stored
    assert RuleFlags(tolerance=2.0).over(stored) == Rules("frechet", None, 2.0, 0.2, "worst")
    assert RuleFlags().over(stored) == stored


def test_one_flag_changes_one_rule():
    """And a time alone asks for the loss at it, where the quality has none."""
    assert RuleFlags(memorized=0.2).over(Rules.of_samples()) == replace(Rules.of_samples(), memorized=0.2)
    assert RuleFlags(tolerance=2.0).over(Rules.of_samples()) == replace(Rules.of_samples(), tolerance=2.0)
    assert RuleFlags(t=0.3).over(Rules.of_samples()) == Rules(t=0.3)
    assert RuleFlags(t=0.3).over(Rules("score_error")) == Rules("score_error", 0.3)


@pytest.mark.parametrize("quality", ["frechet", "kl", "mine"])
def test_a_time_of_a_quality_that_has_none_is_refused(quality):
    with pytest.raises(InputError, match=f"rules.t: expected none with {quality}"):
        RuleFlags(quality=quality, t=0.3).over(Rules())


def test_the_usual_level_of_kl_is_that_of_the_recipes():
    asked = RuleFlags(quality="kl", memorized=0.2).over(Rules.of_samples())
    assert asked == ENTRIES["n_mixture_adam"].rules
