"""tau_mem from the losses of a run: planted factors are found, the record follows from its inputs."""

import math

import numpy as np
import pytest

from evidence_records import RECORDS, drawn, inputs_are_those_beside, read
from memhorizon import recipes
from memhorizon.errors import InputError
from memhorizon.forecasting.progress import expected_time, relative_gap
from memhorizon.recipes.in_progress import numbers
from memhorizon.recipes.in_progress.figure import leads
from memhorizon.recipes.in_progress.numbers import KINDS, NAME, LeadRow, RunRow
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.records.files import load_record


def test_planted_factors_are_found():
    """Two sweeps about one mean: the spread is that within and between them, each sweep with one weight."""
    rng = np.random.default_rng(0)
    few = (1.2 + 0.3 * rng.normal(size=400)).tolist()
    many = (0.8 + 0.3 * rng.normal(size=4000)).tolist()
    passings = {"a": dict.fromkeys(numbers.LEVELS, few), "b_mixture": dict.fromkeys(numbers.LEVELS, many)}
    lead = numbers.leads_of(passings)[0]
    assert lead.log_factor == pytest.approx(1.0, abs=4 * 0.3 / 20)
    assert lead.sd == pytest.approx(math.hypot(0.3, 0.2), abs=0.03)
    row = next(iter(numbers.lead_rows(passings)))
    assert (row.images, row.mixtures) == pytest.approx((math.exp(1.2), math.exp(0.8)), rel=0.06)


def test_the_tiny_twin_is_drawn(tmp_path):
    made = load_record(recipes.load(NAME).run(tmp_path, "tiny", records=RECORDS))
    drawn(made, tmp_path)


def test_the_committed_record_follows_from_its_inputs():
    made = read(NAME)
    inputs_are_those_beside(made)
    rows = rows_of(made, NAME, KINDS)
    assert [row.level for row in of_kind(rows, LeadRow)] == list(numbers.LEVELS)
    runs = of_kind(rows, RunRow)
    assert {row.sweep for row in runs} == set(numbers.SWEEPS)
    passings = {name: numbers.passings_of(read(name)) for name in numbers.SWEEPS}
    for row in runs[::120]:
        others = {name: found for name, found in passings.items() if name != row.sweep}
        (run,) = [one for one in read(row.sweep).runs if one.key == row.key]
        until = row.share * row.tau_mem.value
        gap = relative_gap(run.curves, until)
        again = None if gap is None else expected_time(gap, now=until, leads=numbers.leads_of(others))
        if row.expected is None:
            assert again is None
        else:
            assert (again.value, again.high) == pytest.approx(
                (row.expected.value, row.expected.high), rel=1e-4
            )


def test_what_was_promised_of_runs_at_a_third():
    told = read(NAME).summary["at 0.33 of tau_mem"]["all"]
    assert told["answered"] >= 30
    assert told["factor"] < 1.5
    assert 0.85 <= told["coverage"] <= 0.96


@pytest.mark.parametrize("bad", [[], "rates"])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match="expected the table of 'in_progress'"):
        leads(read(bad) if isinstance(bad, str) else bad)


def line_of(share, summary):
    """A row of the table of docs/steps.md."""
    found = summary[f"at {share:.2f} of tau_mem"]["all"]
    low, high = found["coverage_interval"]
    inside = f"{found['coverage']:.2f} [{low:.2f}, {high:.2f}]"
    runs = f"{found['answered']} of {found['runs']}"
    return f"| {share:.2f} of tau_mem | {runs} | {found['factor']:.2f} | {inside} | {found['width']:.1f} |"


def test_the_page_says_what_the_record_says():
    page = (RECORDS.parent / "docs" / "steps.md").read_text()
    for share in numbers.SHARES:
        assert line_of(share, read(NAME).summary) in page
    rows = of_kind(rows_of(read(NAME), NAME, KINDS), LeadRow)
    leads = ", ".join(f"{math.exp(row.log_factor):.1f}" for row in rows)
    assert f"{leads} on average over {len(numbers.SWEEPS)} sweeps" in page
    lawful = read(NAME).summary["at 0.33 of tau_mem"]
    by_law = lawful["where there is a law: by the law"]["factor"]
    by_losses = lawful["where there is a law: by the losses"]["factor"]
    assert (
        f"(median factor {by_law:.2f}, against {by_losses:.2f} by the losses of the run at a third)" in page
    )
