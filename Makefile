# `make demo` and `make test` need Python 3.10+ and nothing else; each makes .venv from constraints.txt first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DOCS   := $(VENV)/.docs
SAMPLE ?= 120

.PHONY: demo test test-all check slow mutation docs density bench figures clean

demo: $(READY)          ## train on real digits, see both timescales: writes demo/report.html
	$(BIN)/memhorizon demo

test: $(READY)          ## what CI runs: every test file in one process, as many at once as there are cores
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations 20

test-all:               ## the tests on every Python from 3.10 to 3.13 that is found
	PYTHON="$(PYTHON)" sh dev/test_all.sh

check: $(READY)         ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

slow: $(READY)          ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

mutation: $(READY)      ## change the code at SAMPLE random places: which changes does no test notice?
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[mutation]'
	$(BIN)/python dev/mutation.py --count $(SAMPLE)

docs: $(DOCS)           ## the documentation: build/docs/index.html
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q -b html docs build/docs
	@echo "open build/docs/index.html"

density:                ## how dense the code is
	$(PYTHON) dev/density.py

bench: $(READY)         ## every benchmark; see benchmarks/README.md
	for bench in benchmarks/*.py; do $(BIN)/python $$bench || exit 1; done

figures: $(READY)       ## redraw every picture from the committed records
	$(BIN)/memhorizon figure all

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

$(DOCS): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $(DOCS)

clean:
	rm -rf $(VENV) build .pytest_cache .ruff_cache
