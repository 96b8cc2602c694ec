# Everything starts here; each target sets up what it needs in .venv and nothing outside it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
READY := $(VENV)/.ready

.PHONY: help api-cases clients demo up test chaos fuzz runbook check schema openapi pictures bench guards build lock sbom audit clean

help:
	@echo "make demo    watch calls live and die, on servers of our own, without ringing a phone (ARGS=--json)"
	@echo "make up      run everything on this machine until Ctrl-C"
	@echo "make test    run the tests against real servers"
	@echo "make chaos   break things at random while calls run, and check that none is lost or rung twice (ARGS=\"--calls N --seed S\")"
	@echo "make fuzz    attack the web process, files, commands and messages with forged and odd input (ARGS=\"--seed S\")"
	@echo "make runbook type every command of the runbook on a booted Debian, and cause each alert (root, systemd-nspawn)"
	@echo "make api-cases send cases made of ops/openapi.json to the API: no 5xx, nothing but what it says (ARGS=\"--cases N --seed S\")"
	@echo "make clients compile the clients that others generate from ops/openapi.json"
	@echo "make guards  take out each guard alone and see its test fail"
	@echo "make schema  write sql/schema.sql, the whole schema in one file, from a migrated database"
	@echo "make openapi write ops/openapi.json, what the API takes and answers, and the operations of its Python client"
	@echo "make pictures write docs/pictures, the screens of the page that the README shows"
	@echo "make bench   measure speeds as ratios within one run (ARGS=\"--quick --only NAME\")"
	@echo "make check   lint, types, layers, SQL, prose, what bandit finds"
	@echo "make lock    write the locks anew from pyproject.toml, versions as they are (ARGS=--upgrade, or ARGS=\"-P NAME\")"
	@echo "make build   write the wheel and the source distribution to dist"
	@echo "make clean   remove .venv, dist and build"
	@echo "make sbom    write what the program is made of to dist/outbound.cdx.json (CycloneDX)"
	@echo "make audit   ask which versions in the locks are known to be vulnerable"

NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo "outbound needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }

# What runs the program comes first and alone: what tests it is twice as much again.
$(RUNS): pyproject.toml requirements.lock requirements-build.lock
	@$(NEW_ENOUGH)
	@$(PYTHON) ops/make_venv.py $(VENV) $@ --project requirements.lock requirements-build.lock

$(READY): pyproject.toml requirements-dev.lock
	@$(NEW_ENOUGH)
	@$(PYTHON) ops/make_venv.py $(VENV) $@ --project requirements-dev.lock

demo: $(RUNS)
	@$(BIN)/outbound demo $(ARGS)

up: $(RUNS)
	@$(BIN)/outbound up $(ARGS)

# Without files of bytecode, each process that a test starts would compile its modules anew, and pytest all tests.
test: $(READY)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(ARGS)

chaos: $(READY)
	@$(BIN)/python -m tests.chaos $(ARGS)

fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz $(ARGS)

runbook: $(READY)
	@$(BIN)/python -m tests.runbook $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/squawk --config .squawk.toml $(filter-out %.rollback.sql,$(wildcard sql/migrations/*.sql))
	$(BIN)/sqlfluff lint sql
	$(BIN)/python -m tests.prose
	$(BIN)/bandit --configfile pyproject.toml --quiet --recursive outbound

openapi: $(READY)
	@$(BIN)/outbound api --document > ops/openapi.json
	@$(BIN)/python -m tests.client_file

pictures: $(READY)
	env PICTURES=write $(BIN)/python -m pytest -q -n 0 tests/page/test_pictures.py

schema: $(READY)
	@$(BIN)/python -m tests.schema_file

guards: $(READY)
	$(BIN)/python -m tests.guards $(ARGS)

bench: $(READY)
	$(BIN)/python -m tests.bench $(ARGS)

# Of two wheels, dist/outbound-*.whl in the documents would mean both.
build: $(READY)
	rm -f dist/outbound-[0-9]*
	$(BIN)/python -m build --no-isolation

# The tools for what the program is made of have a place of their own: they bring more than the program does.
SUPPLY := $(VENV)/supply
$(SUPPLY)/.ready: $(READY) requirements-supply.lock
	@$(PYTHON) ops/make_venv.py $(SUPPLY) $@ requirements-supply.lock

# Every platform's hashes, from the index that uv is told of (UV_INDEX_URL); no address is written down.
COMPILE = $(SUPPLY)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate
lock: $(SUPPLY)/.ready
	$(COMPILE) $(ARGS) pyproject.toml --extra local --output-file requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) $(ARGS) --group build --constraint requirements-dev.lock --output-file requirements-build.lock
	$(COMPILE) $(ARGS) --group supply --constraint requirements-dev.lock --output-file requirements-supply.lock
	$(COMPILE) $(ARGS) --group cases --output-file requirements-cases.lock

# What makes cases of the API's document brings other versions of what the tests use.
CASES := $(VENV)/cases
$(CASES)/.ready: $(READY) requirements-cases.lock
	@$(PYTHON) ops/make_venv.py $(CASES) $@ requirements-cases.lock

api-cases: $(CASES)/.ready
	@$(BIN)/python -m tests.api_cases --schemathesis $(CASES)/bin/st $(ARGS)

clients: $(CASES)/.ready
	@$(BIN)/python -m tests.other_clients --bin $(CASES)/bin

sbom: $(SUPPLY)/.ready
	@mkdir -p dist
	$(SUPPLY)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-format JSON --output-file dist/outbound.cdx.json

audit: $(SUPPLY)/.ready
	@PATH="$(CURDIR)/$(SUPPLY)/bin:$$PATH" .ci/audit requirements.lock requirements-dev.lock

clean:
	rm -rf $(VENV) dist build
