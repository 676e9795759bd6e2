"""Rules by themselves: what is no rule is refused by name, the defaults, the curve that is read."""

import pytest

from memhorizon.errors import InputError
from memhorizon.records.codec import decode
from memhorizon.timescales.rules import Rules

GOOD = {"quality": "kl", "t": None, "tolerance": 1.0, "memorized": 0.2}


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        *[("quality", value) for value in ("memorized", "my loss", "", None, 3, ["kl"])],
        *[("t", value) for value in (0, -1.0, float("nan"), float("inf"), "0.1", True, 10**400)],
        *[
            ("tolerance", value)
            for value in (0, -0.1, float("nan"), float("inf"), None, "5 %", 1e308, 10**400)
        ],
        *[("memorized", value) for value in (0, 1, -0.1, 2.0, float("nan"), None, [])],
        *[("relative_to", value) for value in ("median", None, 1)],
    ],
)
def test_what_is_no_rule_is_refused_by_name(entry, value):
    with pytest.raises(InputError, match=f"rules.{entry}: expected"):
        decode({**GOOD, entry: value}, Rules, "rules")


@pytest.mark.parametrize("value", [None, [], "kl", {**GOOD, "more": 1}])
def test_rules_have_no_other_entries(value):
    with pytest.raises(InputError, match="rules: (expected an object|unknown entries)"):
        decode(value, Rules, "rules")


def test_a_loss_needs_its_diffusion_time():
    for quality in ("holdout", "score_error"):
        with pytest.raises(InputError, match=r"rules\.t"):
            Rules(quality=quality, t=None)
        assert Rules(quality=quality, t=0.25).curve == f"{quality}@0.25"
    for quality in ("kl", "frechet", "fid"):  # they have none, so none enters
        assert Rules(quality=quality).curve == Rules(quality=quality, t=None).curve == quality


def test_the_defaults_are_those_of_the_guide():
    """5 % above the worst best held-out loss at t = 0.1; a tenth of the samples above the null."""
    rules = Rules()
    assert (rules.curve, rules.tolerance, rules.memorized) == ("holdout@0.1", 0.05, 0.1)


def test_the_largest_tolerance_is_a_rule():
    assert Rules(tolerance=1e9).tolerance == 1e9
    with pytest.raises(InputError, match="up to 1e\\+09, got 1000000001"):
        Rules(tolerance=1e9 + 1)
