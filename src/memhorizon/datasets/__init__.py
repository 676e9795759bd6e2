"""The items of a run: training and held-out sets, their split, synthetic data."""
