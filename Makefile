# Needs make and a Python with venv; everything else goes into a virtual environment.
PYTHON ?= python3
# The versions to install: constraints.txt pins them, constraints-lowest.txt has the lower bounds of pyproject.toml,
# constraints-newest.txt pins nothing. Each has an environment of its own: .venv, .venv-lowest, .venv-newest.
CONSTRAINTS ?= constraints.txt
VENV := .venv$(patsubst constraints%,%,$(basename $(notdir $(CONSTRAINTS))))
BIN := $(VENV)/bin
ARGS ?=

# Stamps, without and with the development tools: older than pyproject.toml or the constraints when those have changed.
PLAIN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)

.PHONY: demo test lint bench clean
.DEFAULT_GOAL := demo

demo: $(PLAIN)  ## train some networks and draw them; ARGS="--quick" is shorter
	$(BIN)/graphseq demo $(ARGS)
	@echo
	@echo "The program is $(BIN)/graphseq. In a terminal, this lets you type graphseq alone: source $(BIN)/activate"

# Style and types are those of the pinned tools and libraries.
test: $(if $(filter constraints.txt,$(CONSTRAINTS)),lint) $(DEV)  ## check style and types, and run the tests; ARGS="-k sweep" selects
	$(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(DEV)  ## check style and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy --strict graphseq

bench: $(PLAIN)  ## time the library beside its peers; ARGS=--json for machines
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove the environments, builds and caches
	rm -rf $(VENV) .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(PLAIN): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "Installing graphseq into $(VENV); this takes a few minutes."
	$(INSTALL) --editable .
	@touch $@

$(DEV): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "Installing graphseq and its development tools into $(VENV); this takes a few minutes."
	$(INSTALL) --editable ".[dev]"
	@touch $(PLAIN) $@
