# Needs make and a Python with venv; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# One stamp for each set of extras. They are older than pyproject.toml or constraints.txt when those have changed.
EXAMPLES := $(VENV)/.installed-examples
DEV := $(VENV)/.installed-dev
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench clean
.DEFAULT_GOAL := demo

demo: $(EXAMPLES)  ## run the examples
	$(BIN)/python -m examples $(ARGS)

test: $(DEV)  ## run the tests; ARGS="-k sweep" selects
	$(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(DEV)  ## check style and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy --strict graphseq

bench: $(EXAMPLES)  ## time the library beside its peers; ARGS=--json for machines
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove the environment, builds and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(EXAMPLES): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing graphseq into $(VENV); this takes a few minutes."
	$(INSTALL) --editable ".[examples]"
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing graphseq and its development tools into $(VENV); this takes a few minutes."
	$(INSTALL) --editable ".[dev,examples]"
	@touch $(EXAMPLES) $@
