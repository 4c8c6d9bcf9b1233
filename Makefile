# Two commands for a newcomer: `make serve` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py constraints.txt $(shell git ls-files cli kernels loadtest models planning server 2>/dev/null)

.PHONY: serve test lint check clean

serve: $(VENV)/.serve  ## serve the checkpoint that ships with the product
	$(BIN)/nestling serve

test: $(VENV)/.dev  ## every test
	$(BIN)/python -m pytest

lint: $(VENV)/.dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p nestling.cli -p nestling.kernels -p nestling.loadtest -p nestling.models -p nestling.planning -p nestling.server

check: lint test

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(VENV)/bin/pip $(SOURCES)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[console]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/pip $(SOURCES)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[dev]'
	touch $@ $(VENV)/.serve

clean:
	rm -rf $(VENV) build *.egg-info
