"""The experiments: one module per claim or figure, each with a tiny and a paper-size twin."""
