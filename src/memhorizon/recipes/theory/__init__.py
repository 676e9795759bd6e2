"""Predictions of the random-features theory: one folder per recipe, its numbers beside its picture."""
