# Everything starts here; each target sets up what it needs in .venv and nothing outside it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo up test chaos check bench guards build clean

help:
	@echo "make demo    watch 28 calls live and die, on servers of our own, without ringing a phone (ARGS=--json)"
	@echo "make up      run everything on this machine until Ctrl-C"
	@echo "make test    run the tests against real servers"
	@echo "make chaos   break things at random while calls run, and check that none is lost or rung twice (ARGS=\"--calls N --seed S\")"
	@echo "make guards  take out each guard alone and see its test fail"
	@echo "make check   lint, types, layers, SQL"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "outbound needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no virtual environment could be made: on Debian and Ubuntu, install python3-venv"; exit 1; }
	@echo "setting up $(VENV) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/outbound demo $(ARGS)

up: $(READY)
	@$(BIN)/outbound up $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

chaos: $(READY)
	@$(BIN)/python -m tests.chaos $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/squawk --config .squawk.toml $(filter-out %.rollback.sql,$(wildcard sql/migrations/*.sql))
	$(BIN)/sqlfluff lint sql

guards: $(READY)
	$(BIN)/python -m tests.guards $(ARGS)

bench: $(READY)
	$(BIN)/python -m tests.bench $(ARGS)

build: $(READY)
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) dist build
