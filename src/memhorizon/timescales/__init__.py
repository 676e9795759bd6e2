"""From curves to times and from times to laws; NumPy and SciPy only."""
