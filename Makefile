# Nothing but Python 3.11+ and make is needed: every target makes .venv and installs what it needs.
# `make` alone lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
SOURCES := contacts_core providers tests scripts $(wildcard benchmarks examples)

# The first interpreter that is new enough and can make environments; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)

DEV := .venv/.installed-dev
ALL := .venv/.installed-all
# The demo needs no development tools; where they are installed already, they do.
RUN := $(if $(wildcard $(DEV)),$(DEV),$(ALL))

.PHONY: help demo test coverage test-postgres soak check format cassettes bench docs wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(RUN) ## the five operations on all three vendors, against emulators on this machine
	@$(BIN)/contacts demo

# More processes than processors: a good part of the tests wait for a server, a process or a pause.
ALL_TESTS := -n 4 --dist worksteal --durations=40

test: $(DEV) ## every test; ARGS="-k name" runs a few
	$(BIN)/pytest $(or $(ARGS),$(ALL_TESTS))

# A target of its own: before Python 3.14, measuring branches takes 1.8 times the processor time.
coverage: $(DEV) ## every test with branch coverage, which must be 95 % or more
	$(BIN)/pytest $(ALL_TESTS) --cov --cov-report=term

test-postgres: $(DEV) ## workers and storage on a real PostgreSQL, started for this and gone afterwards
	scripts/postgres.sh $(BIN)/pytest $(or $(ARGS),-n 3 --dist worksteal tests/plans/test_workers.py tests/plans/test_fencing.py tests/plans/test_stored.py)

soak: $(DEV) ## one run of 40,000 changes while workers are killed, at most 75 s; SIZE=1000000 SECONDS=300 for the whole
	CONTACTS_SOAK=$(or $(SIZE),40000) CONTACTS_SOAK_SECONDS=$(or $(SECONDS),75) \
		scripts/postgres.sh $(BIN)/pytest -s -o log_cli=true tests/plans/test_soak.py -k several_workers

check: $(DEV) ## ruff, formatting, mypy, pyright, import contracts, generated pages
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_docs.py --check

format: $(DEV) ## format and fix what can be fixed, and regenerate the generated pages
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/python scripts/generate_docs.py

cassettes: $(DEV) ## record the cassettes from the emulators; LIVE=1 from real accounts
	$(BIN)/python -m contacts_core.testing.record $(if $(LIVE),--live)

bench: $(DEV) ## run the benchmarks and print their ratios
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DEV) ## build the pages into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: $(DEV) ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation --outdir dist

clean: ## remove .venv and everything built
	rm -rf .venv build dist site htmlcov .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find contacts_core providers tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { \
		echo "No Python 3.11 or newer with the venv module was found on PATH." >&2; \
		echo "Install one (on Debian or Ubuntu: python3.11 and python3.11-venv)," >&2; \
		echo "or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) cannot run, or is older than Python 3.11, which contacts-core needs." >&2; \
		exit 1; }
	"$(PYTHON)" -m venv .venv

$(DEV) $(ALL): .venv/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing contacts-core[$*] into .venv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
