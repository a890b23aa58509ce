# Every command that a person or CI needs; `make` alone lists them.
# Variables: PYTHON=python3.13 (to build .venv with), ARGS="…" (handed on), WORKERS=3 (test processes: more than cores, for most tests wait for other processes).

PYTHON ?= python3
WORKERS ?= 3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
OURS := runtime adapters sync
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

.DEFAULT_GOAL := help
.PHONY: help run check lint types types-again arrows tidy test test-packages soak fuzz bench packages lock lock-python clean bytecode
.DELETE_ON_ERROR:

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.demo bytecode ## install from the lock, then run the demo: a real hub, one region, three partners
	@$(BIN)/entrepot demo $(ARGS)

check: $(VENV)/.dev bytecode ## lint, format, types (twice), import arrows, sizes and names; two at a time
	@$(MAKE) --no-print-directory -j 2 -O lint types types-again arrows tidy

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

types-again:
	$(BIN)/basedpyright --pythonpath $(BIN)/python

arrows:
	$(BIN)/lint-imports --no-logo

tidy:
	$(BIN)/pytest -q tests/tidy

test: check ## check, then every test but the soak runs (about 9 minutes on 2 cores)
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal --durations 10 $(ARGS)

test-packages: $(VENV)/.dev bytecode ## the packages in full: built twice, and tried on whole Debian 12 and 13 machines; needs root
	$(BIN)/pytest -q tests/recipes tests/packages -m "packages or not packages" -n $(WORKERS) --dist worksteal --durations 10 -o faulthandler_timeout=1800 $(ARGS)

soak: $(VENV)/.dev bytecode ## random faults for half an hour, other ones each time
	$(BIN)/pytest -q -n $(WORKERS) -m "soak or model" --hypothesis-profile soak -o faulthandler_timeout=7200 $(ARGS)

fuzz: $(VENV)/.dev bytecode ## a million spoilt inputs for verifier, mappings and gateway (ARGS="--seed 7 --inputs 5000000")
	$(BIN)/python -m tests.fuzz $(ARGS)

bench: $(VENV)/.dev bytecode ## one run, one table, JSON beside it
	$(BIN)/python -m bench $(ARGS)

packages: $(VENV)/.dev bytecode ## build .deb, .rpm, SBOM and the offline bundle into dist/ (ARGS="--only deb13")
	PYTHONPATH=packaging $(BIN)/python -m recipes $(ARGS)

lock: $(VENV)/.dev ## resolve pyproject.toml into requirements/*.txt (ARGS=--upgrade for newer versions)
	$(COMPILE) --all-extras --group build $(ARGS) -o requirements/dev.txt
	$(COMPILE) --extra demo --group build -c requirements/dev.txt -o requirements/demo.txt
	$(COMPILE) -c requirements/dev.txt -o requirements/agent.txt

lock-python: $(VENV)/.dev ## take Debian's newest interpreter into the self-contained packages
	PYTHONPATH=packaging $(BIN)/python -m recipes.interpreter

clean: ## remove .venv, caches and build results; never a journal
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(OURS) tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# Where PYTHONDONTWRITEBYTECODE is set, each start of the command would compile everything anew.
bytecode:
	@$(BIN)/python -m compileall -q $(OURS)

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Entrepot needs Python 3.11 or newer, and '$(PYTHON)' is not here: install python3, or name one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Entrepot needs Python 3.11 or newer, and '$(PYTHON)' is older; name another: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "'$(PYTHON)' cannot make virtual environments: install the package python3-venv, then try again" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.demo: $(BIN)/python requirements/demo.txt pyproject.toml
	$(PIP_INSTALL) --require-hashes -r requirements/demo.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements/dev.txt
	$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
