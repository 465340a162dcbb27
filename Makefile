# Two commands: `make demo` (the core alone) and `make test` (with the tools of development). Each makes .venv if it
# is missing and installs the exact versions of constraints.txt; a stamp in .venv says which of the two was done.
# Interrupted at any moment, the same command starts again where that is safe, and with a fresh .venv where it is not.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
SHELL := bash

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Packages are installed without byte code (see below); where a shell forbids Python to keep it, every start is slow.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint fmt clean

help:
	@echo "make demo    install the core and run the demonstration (under 3 minutes)"
	@echo "make test    install the tools of development, then check style, types, floors and behaviour"
	@echo "make coverage  the same, and which lines the tests ran through (slower)"
	@echo "make lint    style, types and floors only"
	@echo "make fmt     format the code, mend what can be mended"
	@echo "make clean   remove .venv, caches and the demonstration's site"
	@echo "With another Python: make demo PYTHON=python3.13 (3.11 or newer)"

demo: $(VENV)/.core
	@$(BIN)/medloom demo

# Small models are 2 to 10 times slower with two thread pools on two cores; the other settings keep libraries offline.
test: export OMP_NUM_THREADS := 1
test: export HF_HUB_OFFLINE := 1
test: export FLWR_TELEMETRY_ENABLED := 0
test: export RAY_USAGE_STATS_ENABLED := 0
test: export MLFLOW_DISABLE_TELEMETRY := 1
test: lint
	@echo "== behaviour: pytest"
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder $(MEASURED)

# Which lines the tests ran through; it takes up to twice as long as the tests alone.
coverage: MEASURED := --cov --cov-report=term
coverage: test

lint: $(VENV)/.dev
	@echo "== style: ruff check"
	@$(BIN)/ruff check .
	@echo "== style: ruff format"
	@$(BIN)/ruff format --check .
	@echo "== types: mypy --strict"
	@$(BIN)/mypy --strict src
	@echo "== floors: import-linter"
	@$(BIN)/lint-imports --no-logo

fmt: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist medloom-demo

$(VENV)/.core: pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $(VENV)/.core $@

# install(what): make .venv unless a working one is there; install; leave no doubt about a killed installation.
# --no-compile: byte code is made at first use for the few modules that are used, not for 10,000 files, which
# took as long as everything else together. The pipe keeps one line for every large file, so that a reader sees that something happens.
define install
@set -euo pipefail; \
if [ -e $(VENV)/.installing ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo "Medloom needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11" >&2; exit 1; }; \
  echo "== environment: $(VENV)"; \
  rm -rf $(VENV); \
  $(PYTHON) -m venv $(VENV) || { \
    echo "Python could not make $(VENV); on Debian or Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }; \
  $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt --upgrade pip; \
fi; \
echo "== packages: pip install $(1) (about a minute the first time)"; \
touch $(VENV)/.installing; \
trap 'exit 130' INT TERM HUP; \
status=0; \
$(BIN)/python -m pip install --no-compile --progress-bar off -c constraints.txt -e '$(1)' \
  | { grep --line-buffered -oE '(Downloading|Using cached) [^ /]+ \([0-9.]+ MB\)|Installing collected packages' || true; } \
  || status=$$?; \
rm -f $(VENV)/.installing; \
exit $$status
endef
