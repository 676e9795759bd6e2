"""Files from anywhere, read with bounds and without trust: pictures, arrays, plain values."""
