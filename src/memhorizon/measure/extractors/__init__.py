"""Feature functions from files and packages: what `load_features` gives."""
