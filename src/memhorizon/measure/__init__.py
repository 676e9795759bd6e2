"""What is observed: neighbours, memorized fraction, quality, losses, times and laws."""
