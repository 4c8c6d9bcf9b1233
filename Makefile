# Two commands for a newcomer: `make serve` and `make test`. `make test-slow` holds the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROOMS := capacity cli experiments kernels loadtest models server
SOURCES := pyproject.toml setup.py constraints.txt $(shell git ls-files $(ROOMS) 2>/dev/null)

.PHONY: serve test test-slow lint clean

serve: $(VENV)/.serve  ## serve the checkpoint that ships with the product
	$(BIN)/nestling serve

# Whole files go to one process: their tests share a server, or a trained model. On two cores there are
# three processes, since some wait: for a browser, a download, a disk.
PYTEST := $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --durations 30

test: $(VENV)/.dev  ## what needs Python and git alone: every part, and the real server
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.dev  ## browsers, databases, images, long simulations, compilers
	$(BIN)/python -m tests.programs
	$(PYTEST) --no-loadscope-reorder -m slow

lint: $(VENV)/.dev  ## style, types, and which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(addprefix -p nestling.,$(ROOMS)) -p benchmarks
	$(BIN)/lint-imports --no-cache --no-logo

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(VENV)/bin/pip $(SOURCES)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[cpu,console]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/pip $(SOURCES)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[dev]'
	touch $@ $(VENV)/.serve

clean:
	rm -rf $(VENV) build *.egg-info
