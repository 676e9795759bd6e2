import math
from dataclasses import replace

import pytest
from matplotlib.patches import Polygon, Rectangle

from memhorizon.errors import InputError
from memhorizon.figures import monitor, monitor_signals, registry, style
from memhorizon.records.monitor import Phase
from monitor_records import BEST, STEPS, monitored


def test_a_monitored_training_has_three_figures():
    found = registry.of(monitored())
    assert set(found) == {"course", "signals", "evidence"}
    for picture in found.values():
        assert picture.frame()
        assert "<path" in style.svg(picture.plot())


def test_the_course_has_a_row_for_each_look():
    record = monitored()
    rows = monitor.course(record).frame()
    assert [row["step"] for row in rows] == list(STEPS)
    assert [row["copies"] for row in rows] == [look.copies.value for look in record.looks]
    assert [row["certified"] for row in rows] == [step == BEST for step in STEPS]


def test_the_strip_is_in_the_colours_of_the_verdicts_from_look_to_look():
    """Blocks begin at the looks where the verdict changes, and the last one ends behind the last look."""
    strip = monitor.course(monitored()).plot().axes[0]
    blocks = [patch for patch in strip.patches if isinstance(patch, Rectangle | Polygon)]
    starts = [
        min(x for x, _ in block.get_path().transformed(block.get_patch_transform()).vertices)
        for block in blocks
    ]
    assert len(blocks) == 3
    assert starts[1:] == pytest.approx([400, 1500])
    assert [text.get_text() for text in strip.texts] == ["learning", "window", "memorizing"]
    shades = [style.matplotlib.colors.to_hex(block.get_facecolor()) for block in blocks]
    assert shades == [monitor.COLOURS[phase] for phase in (Phase.LEARNING, Phase.WINDOW, Phase.MEMORIZING)]


def test_a_share_of_nothing_and_one_at_the_target_are_told_apart():
    """On the axis of copies 0, the target and 100 % lie a visible distance apart."""
    copies = monitor.course(monitored()).plot().axes[2]
    low, high = copies.get_ylim()
    place = copies.transData.transform
    bottom, top = (place((100, y))[1] for y in (low, high))
    at = [(place((100, y))[1] - bottom) / (top - bottom) for y in (0, 1, 10)]
    assert at[1] - at[0] > 0.15
    assert at[2] - at[1] > 0.1


def test_signals_that_were_not_measured_are_left_out():
    record = monitored(with_holdout=False)
    found = monitor_signals.signals(record)
    assert [one.name for one in found.shown()] == ["stable rank"]
    assert found.quantiles() == []
    assert len([axes for axes in found.plot().axes if axes.get_visible()]) == 1


def test_the_evidence_is_in_powers_of_ten_below_its_limit():
    record = monitored()
    found = monitor_signals.evidence(record)
    assert found.limit == pytest.approx(math.log10(20))
    rows = found.frame()
    assert [row["log10_e"] for row in rows] == pytest.approx([k.log_e / math.log(10) for k in record.looks])


def test_step_0_has_a_place_on_the_logarithmic_axis():
    record = monitored(steps=(0, 50, 100))
    assert monitor.course(record).plot().axes[2].get_xlim()[0] < 1


def test_what_cannot_be_drawn_is_refused_by_name():
    with pytest.raises(InputError, match="record: expected a MonitorRecord"):
        monitor.course(None)
    with pytest.raises(InputError, match="record: expected looks at a training, got none"):
        monitor.course(replace(monitored(), looks=()))
    with pytest.raises(InputError, match="record: expected looks with samples, got none"):
        monitor_signals.evidence(monitored(with_samples=False))
    bare = monitored(with_holdout=False)
    bare = replace(bare, looks=tuple(replace(look, stable_rank=math.nan) for look in bare.looks))
    with pytest.raises(InputError, match="record: expected a signal that was measured, got none"):
        monitor_signals.signals(bare)
