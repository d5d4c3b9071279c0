# On a machine with nothing but Python 3.10 to 3.13, `make grade` and `make test` install into .venv on their first call.
#   PYTHON    the interpreter that .venv is made from
#   PIP_ARGS  options for pip, such as PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
#   PYTEST_ARGS  options for pytest; two processes by default, as most tests wait for processes of their own
PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?= -n 2

VENV := .venv
BIN := $(VENV)/bin
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
INSTALL := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check $(PIP_ARGS) -c constraints.txt
SUPPORTED := import sys; (3, 10) <= sys.version_info[:2] <= (3, 13) or \
	sys.exit(f"this is Python {sys.version.split()[0]}, s5-grade needs 3.10 to 3.13: make PYTHON=python3.11")

.PHONY: grade test slow fuzz lint clean
.DELETE_ON_ERROR:

# Grade the reference model, training included.
grade: $(VENV)/.installed
	$(BIN)/s5-grade reference_model/model.py --train

test: $(VENV)/.installed-dev
	$(ONE_THREAD) $(BIN)/python -m pytest -q $(PYTEST_ARGS)

# The same examples in each run: a change is judged by what it changes, and `fuzz` looks for what nobody knew of.
# pytest's exit code 5 says that no test is marked slow, which is no fault.
slow: $(VENV)/.installed-dev
	$(ONE_THREAD) $(BIN)/python -m pytest -q -m slow --hypothesis-seed=0 $(PYTEST_ARGS) || test $$? -eq 5

# Hostile captures and rules files, thousands of new ones.
fuzz: $(VENV)/.installed-dev
	$(ONE_THREAD) $(BIN)/python -m pytest -q -m slow $(PYTEST_ARGS) tests/test_fuzz.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# `--clear`, for what is left of a half-made or broken environment is of no use.
$(BIN)/python:
	@$(PYTHON) -c '$(SUPPORTED)'
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.installed $@
