"""Forecasts: from the times of pilots to the time of a longer run, with a prediction interval (no torch)."""
