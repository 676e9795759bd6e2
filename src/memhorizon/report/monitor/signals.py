"""What the signals of a monitored training mean, and where each of them misleads."""

import math

from memhorizon.figures import monitor, monitor_signals
from memhorizon.records.monitor import MonitorRecord
from memhorizon.report.parts import paragraphs, picture, section, text_of

MEANINGS = {
    "gap": (
        "Gap",
        "held-out minus training loss, on fixed noise. It opens long before there are copies, and how far "
        "is fine depends on the data.",
    ),
    "rise": (
        "Rise of the held-out loss",
        "over its best value. It says that later checkpoints are worse, not that they copy.",
    ),
    "stable rank": (
        "Stable rank",
        "of the weights: how many directions they use. It has no threshold that is known to mean copying.",
    ),
    "Fréchet": (
        "Fréchet distance",
        "of samples to held-out items. With few samples its error is as large as what one wants to see.",
    ),
}
ALT_COURSE = "Verdict, losses and share of copies against the training step."
ALT_SIGNALS = "Gap by noise level and further signals against the training step."
ALT_EVIDENCE = "Evidence for copies against the training step, with the limit at which to stop."


def course(record: MonitorRecord) -> str:
    """The verdict along the steps."""
    caption = (
        "Above: the verdict after each look. Middle: losses on the same items and noise at each look. Below: "
        "share of the samples that are copies, with 95 % intervals; the axis is even up to the target and "
        "logarithmic above it."
    )
    shown = picture("course", lambda: monitor.course(record), caption, ALT_COURSE)
    return section("The training, step by step", shown)


def signals(record: MonitorRecord) -> str:
    """The cheap signals, and what each says and does not say."""
    caption = "Shaded: two standard errors to either side, paired over items and noise."
    shown = picture("signals", lambda: monitor_signals.signals(record), caption, ALT_SIGNALS)
    known = [one.name for one in monitor_signals.Signals(record).shown()]
    lines = [f"<b>{MEANINGS[name][0]}</b>: {text_of(MEANINGS[name][1])}" for name in known]
    return section("Signals", shown, paragraphs(lines))


def evidence(record: MonitorRecord) -> str:
    """The test for the stop."""
    title = "Evidence for copies"
    if all(look.copies is None for look in record.looks):
        return section(title, "<p>No samples were drawn, so there is no evidence either way.</p>")
    alpha = 1 - record.confidence
    caption = (
        f"An e-process against “at every look at most {100 * record.target:g} % of the samples are copies”: "
        f"it reaches {1 / alpha:.3g} with a probability of at most {100 * alpha:.2g} % if that is so, at any "
        "look and whenever one stops."
    )
    shown = picture("evidence", lambda: monitor_signals.evidence(record), caption, ALT_EVIDENCE)
    last = record.looks[-1].log_e / math.log(10)
    return section(title, shown, f"<p>At the last look it is 10<sup>{last:.1f}</sup>.</p>")
