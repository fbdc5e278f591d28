# `make demo` and `make test` do everything on a fresh machine: Python 3.11+, make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
# without compiled files every start of Python takes 20 seconds, not 5; pip left them out
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast test-long test-real test-docs docs bench lint release clean

demo: $(READY)  ## run the demo sequence and show its score matrix
	@echo "Demo: a tiny model learns five small tasks, one after the other (4 to 6 minutes on 2 cores)."
	@echo "Every stage says what it has made; at the end stand the score matrix and the report's page."
	dvc repro
	@lamol report

test: $(READY)  ## the default tests (7 minutes on 2 slow cores)
	python -m pytest

test-fast: $(READY)  ## those of them that train nothing and start no dvc (2 to 3 minutes on 2 slow cores)
	python -m pytest -m "not slow and not real"

test-long: $(READY)  ## tests left out of them: more sequences, a wheel, torch.compile (minutes)
	python -m pytest -m "long and not real"

test-real: $(READY)  ## tests on a real model and real data, from ../shared
	python -m pytest -n 0 -m real $(REAL)

docs: $(READY)  ## the site, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet
	! grep -rlE '<(script|link|img)[^>]+(src|href)="?(https?:)?//' site --include '*.html'
	@echo "The site: $(CURDIR)/site/index.html (with search: python -m http.server -d site)"

test-docs: $(READY)  ## run the commands of README and "Get started" (some minutes)
	python -m pytest -n 2 -m documented

bench: $(READY)  ## all benchmarks against the published procedure and peers (about an hour, ../shared)
	python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	python -m benchmarks.all

lint: $(READY)  ## style, types, layers
	ruff check .
	ruff format --check lamol_core stages tests scripts benchmarks
	mypy
	lint-imports

release: $(READY)  ## wheel and sdist, each run in an empty environment of every Python (half an hour)
	python scripts/release.py

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@echo "Installation, once: three steps, 1 to 5 minutes by the network and the disk."
	@echo "1 of 3: a Python environment in $(VENV) (5 to 30 seconds)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "2 of 3: torch (1 to 3 minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt torch
	@echo "3 of 3: lamol and all other packages (1 to 2 minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@touch $(READY)

clean:  ## everything that a command can make again (not data or results)
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
