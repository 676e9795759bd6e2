"""Configurations, run directories, runs and sweeps."""
