"""`python -m memhorizon`, the same as `memhorizon`."""

from memhorizon.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
