"""How an answer came about, in one enumeration, with a sentence each on what to try."""

from collections.abc import Collection
from enum import Enum

from memhorizon.errors import InputError


class Worded(str, Enum):
    """A base of enumerations whose members carry a sentence.

    A member is its text, so it compares with it and is written as it: `Status.OBSERVED == "observed"`.

    Attributes:
        sentence: that goes with it.
    """

    sentence: str

    def __new__(cls, text: str, sentence: str) -> "Worded":
        """Make a member of its text."""
        member = str.__new__(cls, text)
        member._value_ = text
        member.sentence = sentence
        return member

    def __str__(self) -> str:
        return self.value

    __format__ = str.__format__


class Status(Worded):
    """How an answer came about; each member carries the sentence on what to try (`advice`)."""

    OBSERVED = "observed", ""
    NOT_REACHED = "not reached", "Train longer: the time lies beyond the last snapshot, which bounds it."
    BEFORE_FIRST = "before first", "Take the first snapshot earlier: the time lies before it."
    NOT_MEASURED = "not measured", "Measure the curve: the note says what it needs."
    STILL_IMPROVING = "still improving", "Train longer: the best value of the quality is not known yet."
    TRIVIAL_LEVEL = "trivial level", "Train longer or change the network: it is no better than predicting 0."
    UNDETERMINED = "undetermined", "Add seeds or samples: the data bound the value on neither side."
    AT_LEAST = "at least", "Train longer: some times are lower bounds, so this is one as well."
    AT_MOST = "at most", "Take snapshots earlier: some times are upper bounds, so this is one as well."
    NEVER_REACHED = "never reached", "Nothing to wait for: even infinite time does not reach the level."
    FITTED = "fitted", ""
    MOSTLY_CENSORED = "fitted, mostly censored", "Train longer: most times entered the fit as bounds."
    NOT_FITTED = "not fitted", "Add runs: the note says what is missing."
    FINE = "fine", ""
    BIASED = "biased", "Take more items: the note says how many are too few."
    NO_ERROR = "no error", "Take more items: the note says how many a standard error needs."
    TOO_ALIKE = "too alike", "Compare independent draws: these have equal classes, or items in common."
    SOLVED = "solved", ""
    NOT_RESOLVED = "not resolved", "Check the residual: it is too large for the digits that are promised."
    NOT_CONVERGED = "not converged", "Take a smoother activation or more quadrature nodes."
    LEADING_ORDER = "leading order", "An expansion: trust it only where psi_n and psi_p are large."
    FORECAST = "forecast", ""
    IN_PROGRESS = "from a run in progress", "Forecast again later: the nearer it is to copying, the narrower."
    ASSUMED = "rests on the prior", "Run the next pilot: an exponent is believed, not measured."
    ALL_CENSORED = "all censored", "Train the next pilot until it copies: so far there are only bounds."
    ONE_VALUE = "one value only", "Run the next pilot, or accept the prior: pilots of one size show no law."
    CONTRADICTORY = "contradictory", "Look at the pilots that the note names: no law holds for all of them."
    MIXED = "mixed settings", "Give pilots that differ in size, width, rate, batch or seed alone."

    @property
    def advice(self) -> str:
        """What to try where the answer is not what one wanted; empty where nothing needs to be tried."""
        return self.sentence


CENSORED = (Status.NOT_REACHED, Status.BEFORE_FIRST)  # a time that is known as a bound
UNKNOWN = (Status.NOT_MEASURED, Status.STILL_IMPROVING, Status.TRIVIAL_LEVEL)  # these are no times
TIME_STATUSES = (Status.OBSERVED, *CENSORED, *UNKNOWN)
LAW_STATUSES = (Status.FITTED, Status.MOSTLY_CENSORED, Status.NOT_FITTED)


def status_among(allowed: Collection[Status], status: object) -> Status:
    """One of the allowed; a text that is one of them becomes the member."""
    if status not in allowed:
        raise InputError(f"status: expected one of {', '.join(allowed)}, got {str(status)!r}")
    return Status(status)
