import copy
import math
from dataclasses import replace

import numpy as np
import pytest

from audit_records import small
from memhorizon.errors import InputError
from memhorizon.figures import audit, registry, style
from memhorizon.records.audit import AuditRecord


@pytest.fixture(scope="module")
def record():
    return small().record


def test_an_audit_has_two_figures(record):
    found = registry.of(record)
    assert set(found) == {"statistics", "p-values"}
    for picture in found.values():
        assert picture.frame()
        assert "<path" in style.svg(picture.plot())


def test_the_histograms_hold_every_sample_and_reference_item(record):
    rows = audit.statistics(record).frame()
    for view in record.views:
        mine = [row for row in rows if row["view"] == view.name]
        assert len(mine) == len(view.samples)
        assert sum(row["samples"] for row in mine) == len(record.samples)
        assert sum(row["reference"] for row in mine) == record.n_reference
        assert math.isclose(sum(row["samples_share"] for row in mine), 1)
        assert [row["low"] for row in mine[1:]] == [row["high"] for row in mine[:-1]]


def test_the_limit_reports_the_samples_that_the_record_reports(record):
    """The rule of Benjamini and Hochberg by its definition: up to the last rank that is below the limit."""
    rows = audit.p_values(record).frame()
    assert [row["p"] for row in rows] == sorted(one.p for one in record.samples)
    below = [row["rank"] for row in rows if row["p"] <= row["limit"]]
    assert [row["is_copy"] for row in rows] == [row["rank"] <= max(below) for row in rows]
    assert {row["index"] for row in rows} == set(range(len(rows)))
    assert all(record.samples[row["index"]].p == row["p"] for row in rows)


def test_of_many_samples_some_are_drawn(record):
    m = 50_000
    one = record.samples[0]
    p = np.linspace(1e-5, 1, m)
    many = audit.PValuePlot(tuple(range(m)), tuple(p), tuple(p), (False,) * m, 0.05, 1e-5)
    lines = many.plot().axes[0].lines
    drawn = sum(len(line.get_xdata()) for line in lines)
    assert drawn < 1000
    assert len(many.frame()) == m
    alone = replace(many, index=(0,), p=(one.p,), q=(one.q,), is_copy=(True,))
    assert alone.plot().axes


def test_what_cannot_be_drawn_is_refused_by_name(record: AuditRecord):
    with pytest.raises(InputError, match="record: expected an AuditRecord"):
        audit.statistics(None)
    with pytest.raises(InputError, match="views of the items, got none"):
        audit.statistics(replace(record, views=()))
    view = record.views[0]
    wrong = {"samples": view.samples[1:], "edges": view.edges[::-1], "reference": -view.reference}
    for name, value in wrong.items():
        changed = copy.copy(view)
        object.__setattr__(changed, name, value)
        with pytest.raises(InputError, match="views: expected"):
            audit.statistics(replace(record, views=(changed,)))
    with pytest.raises(InputError, match="resolution"):
        audit.p_values(replace(record, resolution=0.0))
