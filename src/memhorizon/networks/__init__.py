"""The networks: their configurations build them, called as model(x, index)."""
