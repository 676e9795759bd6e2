"""What is predicted: the random-features model in the high-dimensional limit (NumPy and SciPy only)."""
