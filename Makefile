# `make demo` and `make test` are the two commands; each sets up first whatever is not there yet.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
LIBRARIES := $(VENV)/.libraries
PIP := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Images of containers often forbid it. Tests start dozens of processes, which would each compile all modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test lint types unit format wheel clean

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(READY) $(LIBRARIES) ## Make .venv with pinned dependencies, and the system libraries where that may be

demo: setup ## Simulate the rover, train, imagine, validate: runs/demo/report/report.html
	@$(VENV)/bin/worldmodel demo

# Types are checked while tests run, which leave cores idle here and there; what is wrong with them is told at the end.
test: lint ## Linters, type check and tests
	@$(PY) -m mypy > $(VENV)/types.log 2>&1 & types=$$!; \
	$(MAKE) --no-print-directory unit; unit=$$?; \
	wait $$types || { cat $(VENV)/types.log; exit 1; }; exit $$unit

lint: setup ## ruff, as a linter and as a formatter that only checks
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check

types: setup ## mypy
	@$(PY) -m mypy

unit: setup ## pytest; `make unit ARGS="tests/logs -k gps"` for some of the tests
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

format: setup ## Let ruff mend and format the code
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

wheel: setup ## Build dist/*.whl
	@$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove .venv and caches; runs/ stays
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamp is there only while the environment is whole: without it, an earlier set-up was interrupted, and we start anew.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer with its venv module is needed, and $(PYTHON) is not that ($$($(PYTHON) --version 2>&1 | head -n 1)): install it (Debian: apt-get install -y python3-venv) or name another, as in make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -e $@ || { echo "Setting up $(VENV) (a minute or two, once)"; $(PYTHON) -m venv --clear $(VENV); }
	@rm -f $@
	@$(PIP) hatchling
	@$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

# Asked again each time while libraries are missing, so that the stamp never hides it.
$(LIBRARIES): $(READY) scripts/system_libraries.py
	@if $(PY) scripts/system_libraries.py; then touch $@; fi
