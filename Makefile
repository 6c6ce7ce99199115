# Everything is done from here: `make help` lists it. Needs Python >= 3.11 and pip; what is missing is set up in .venv.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CODE := src tests benchmarks examples scripts

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench docs docs-caches stack-tools compat-oldest compat-newest wheel-check clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: $(VENV)/.ready-demo ## watch langmeter at work against a local provider (ARGS="--rounds 3")
	$(BIN)/langmeter demo $(ARGS)

test: $(VENV)/.ready-test ## run the tests; those of the stack skip unless `make stack-tools` ran (ARGS="-k cache")
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.ready-dev ## check style, types, import directions and generated pages
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/render_docs.py --check

format: $(VENV)/.ready-dev ## format the code and apply the linter's safe fixes
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(VENV)/.ready-test ## run the benchmarks, one after the other
	@set -e; for benchmark in benchmarks/*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark; done

docs: $(VENV)/.ready-dev ## render the generated pages of docs/
	$(BIN)/python scripts/render_docs.py

docs-caches: $(VENV)/.ready-test ## measure every cache back end and render the table of docs/caches.md
	-$(BIN)/python -m pytest tests/stack/test_cache_backends.py
	$(BIN)/python scripts/cache_table.py

stack-tools: $(VENV)/.ready-python ## get the real programs and servers that the stack tests need (needs Go)
	PYTHON="$(abspath $(BIN)/python)" scripts/stack_tools.sh

compat-oldest: $(VENV)/.ready-python ## run unit and integration tests on the oldest supported langchain-core
	scripts/compatibility.sh oldest $(BIN)/python $(ARGS)

compat-newest: $(VENV)/.ready-python ## run unit and integration tests on the newest langchain-core
	scripts/compatibility.sh newest $(BIN)/python $(ARGS)

wheel-check: $(VENV)/.ready-python ## build the wheel and try it in an empty environment
	scripts/check_wheel.sh $(BIN)/python

clean: ## remove .venv, .tools and caches
	rm -rf $(VENV) .tools build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find $(CODE) -type d -name __pycache__ -prune -exec rm -rf {} +

# A stamp per extra, so that set-up runs once and again only when the dependencies change.
$(VENV)/.ready-python:
	@command -v $(PYTHON) >/dev/null || { echo "langmeter needs Python >= 3.11 and found no '$(PYTHON)'; name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "langmeter needs Python >= 3.11, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1); name another: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.ready-%: pyproject.toml $(VENV)/.ready-python
	@echo "setting up $(VENV) for '$*' (once; takes some minutes)"
	@$(PIP) install --editable '.[$*]'
	@touch $@
