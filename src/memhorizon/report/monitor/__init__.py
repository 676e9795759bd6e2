"""The parts of the page of a monitored training."""
