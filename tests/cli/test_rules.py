"""Flags given over the rules that lie beside runs."""

from memhorizon.cli.rules import RuleFlags
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


def test_without_stored_rules_they_are_the_default_ones():
    assert RuleFlags().over(None) is None
    assert RuleFlags(quality="frechet").over(None) == Rules.of_samples()
    assert RuleFlags(memorized=0.2).over(None) == Rules(memorized=0.2)
