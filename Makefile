# Everything is installed into .venv, in the four steps named by the stamps; a stamp is redone when pyproject.toml changes.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first that runs and is new enough.
BASE_PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
  if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
PIP := $(PYTHON) -m pip --disable-pip-version-check -qq install
JOBS ?= 2
PEERS := torch or jax or sklearn or onnxruntime

DEMO := pellucid train digits --layers 16,16 --epochs 60 --seed 0

.PHONY: help demo test test-long test-peers check fmt docs bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.app ## Train a 64-16-16-10 network on the handwritten digits; model and curves go to runs/
	@echo "$$ $(DEMO)"
	@$(BIN)/$(DEMO)

test: $(VENV)/.dev ## Run the tests that need no rival library
	$(PYTHON) -m pytest -n $(JOBS) -m "not ($(PEERS) or long)"

test-long: $(VENV)/.dev ## Run the tests that train whole networks for minutes
	$(PYTHON) -m pytest -m "long and not ($(PEERS))"

test-peers: $(VENV)/.peers ## Run the tests that compare with PyTorch, JAX, scikit-learn and onnxruntime
	$(PYTHON) -m pytest -n $(JOBS) -m "($(PEERS)) and not long"

check: $(VENV)/.dev ## Check format, lint, types and the rooms' imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.dev ## Format the code and apply the lint rules' safe fixes
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

docs: $(VENV)/.docs ## Build the documentation into docs/_build/html, warnings as errors
	$(PYTHON) -m sphinx -E -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.peers ## Time pellucid against its peers, in turn, on the same data from the same weights
	$(PYTHON) -m benchmarks

clean: ## Remove what builds and tools left behind; .venv and runs/ stay
	rm -rf build dist docs/_build docs/reference/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(PYTHON):
	@base="$(BASE_PYTHON)"; \
	if [ -z "$$base" ] || ! $$base -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  echo "pellucid needs Python 3.11 or newer, and found: $$($${base:-python3} -V 2>&1 | head -n 1)." >&2; \
	  echo "Name another one: make BASE_PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; fi; \
	echo "Creating $(VENV) with $$($$base -V) (once)"; \
	$$base -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.app: pyproject.toml | $(PYTHON)
	@echo "Installing pellucid with its command line into $(VENV) (once)"
	@$(PIP) --only-binary llvmlite -e ".[app,fast]" 2>/dev/null || { \
	  echo "llvmlite cannot be installed here: compiled training steps will run by NumPy"; $(PIP) -e ".[app]"; }
	@touch $@

$(VENV)/.dev: pyproject.toml | $(PYTHON)
	@echo "Installing what tests and checks need into $(VENV) (once)"
	@$(PIP) -e ".[app,dev,fast]"
	@touch $@ $(VENV)/.app

$(VENV)/.docs: pyproject.toml | $(PYTHON)
	@echo "Installing Sphinx into $(VENV) (once)"
	@$(PIP) -e ".[app,docs]"
	@touch $@

$(VENV)/.peers: $(VENV)/.dev
	@echo "Installing the libraries that pellucid is compared with into $(VENV) (once, large)"
	@$(PIP) -e ".[app,dev,fast,peers]"
	@touch $@
