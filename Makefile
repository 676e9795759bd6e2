# `make demo` and `make test` need Python 3.10+ and nothing else; each makes .venv from constraints.txt first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test check slow bench figures clean

demo: $(READY)          ## train on real digits, see both clocks: writes demo/report.html
	$(BIN)/memhorizon demo

test: $(READY)          ## what CI runs: every test file in one process, as many at once as there are cores
	$(BIN)/python -m pytest -n auto --dist loadfile

check: $(READY)         ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

slow: $(READY)          ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

bench: $(READY)         ## every benchmark; see benchmarks/README.md
	for bench in benchmarks/*.py; do $(BIN)/python $$bench || exit 1; done

figures: $(READY)       ## redraw every picture from the committed records
	$(BIN)/memhorizon figure all

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
