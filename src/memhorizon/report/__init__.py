"""A record as one page for people, and as one sentence."""

from memhorizon.report.page import report
from memhorizon.report.words import sentence

__all__ = ["report", "sentence"]
