"""Rules belong to a record: what cannot be a rule is refused, and a folder's own rules are found again."""

import json

import pytest

from memhorizon.experiments.rules import Rules, read_rules, rules_of
from memhorizon.results import InputError

GOOD = {"quality": "kl", "t": None, "tolerance": 1.0, "memorized": 0.2}


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        *[("quality", value) for value in ("loss", "", None, 3, ["kl"])],
        *[("t", value) for value in (0, -1.0, float("nan"), float("inf"), "0.1", True)],
        *[("tolerance", value) for value in (0, -0.1, float("nan"), float("inf"), None, "5 %")],
        *[("memorized", value) for value in (0, 1, -0.1, 2.0, float("nan"), None, [])],
    ],
)
def test_what_is_no_rule_is_refused_by_name(entry, value):
    with pytest.raises(InputError, match=f"rules.{entry}: expected"):
        read_rules({**GOOD, entry: value})


@pytest.mark.parametrize("value", [None, [], "kl", {}, {**GOOD, "more": 1}, {"quality": "kl"}])
def test_rules_have_all_their_entries_and_no_others(value):
    with pytest.raises(InputError, match="rules: expected an object"):
        read_rules(value)


def test_a_loss_needs_its_diffusion_time():
    with pytest.raises(InputError, match=r"rules\.t"):
        Rules(t=None)
    assert Rules().curve == "holdout@0.1"
    assert Rules(quality="kl").curve == "kl"  # it has none, so none enters


def test_the_rules_of_a_folder_are_those_of_its_record_or_of_the_one_above(tmp_path):
    run = tmp_path / "demo" / "run"
    run.mkdir(parents=True)
    assert rules_of(run) is None
    (tmp_path / "demo" / "record.json").write_text(json.dumps({"kind": "sweep", "rules": GOOD}))
    assert rules_of(run) == rules_of(tmp_path / "demo") == Rules(**GOOD)
    own = {**GOOD, "memorized": 0.5}
    (run / "record.json").write_text(json.dumps({"kind": "sweep", "rules": own}))
    assert rules_of(str(run)) == Rules(**own)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, '{"rules": {"quality": 3}}', "\xff"])
def test_a_record_whose_rules_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "record.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="path|rules"):
        rules_of(tmp_path)
