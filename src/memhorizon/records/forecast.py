"""A forecast as a record: what was asked, what was answered, and the command that did it."""

from dataclasses import dataclass

from memhorizon.forecasting.answers import Forecast


@dataclass(frozen=True, repr=False)
class ForecastRecord:
    """A forecast in a file.

    Attributes:
        name: of the record.
        command: that made it.
        forecast: the answer with the pilots that it rests on.
        made: date and time (UTC), where known.
    """

    name: str
    command: str
    forecast: Forecast
    made: str = ""

    def __repr__(self) -> str:
        """Name and answer."""
        return f"ForecastRecord({self.name!r}, {self.forecast!r})"
