# Everything a newcomer needs: `make demo`, then `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-all properties peers-leap check audit bench clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime  ## three agencies, four referrals, on this machine
	@$(BIN)/waymeet demo

test: $(VENV)/.development  ## the fast tests
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

test-all: $(VENV)/.development $(VENV)/.peers  ## the slow suites as well: faults, peers
	$(BIN)/pytest -m slow

peers-leap: $(VENV)/.development  ## our consent engine beside LEAP's (LEAP=its checkout), 10,000 cases
	@cd tests/peers && LEAP="$(abspath $(LEAP))" ../../$(BIN)/python -m leap

EXAMPLES ?= 10000
properties: $(VENV)/.development  ## what must never happen, looked for EXAMPLES times each (10,000)
	EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/unit/test_*_properties.py -k "consent or regime or decide" -n 2

check: $(VENV)/.development  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(VENV)/.development  ## known holes in the pinned packages (asks a public advisory service)
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements-dev.txt

bench: $(VENV)/.development  ## what it costs, as ratios to a floor of the same run
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:  ## remove what the above have made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf tests/peers/node_modules tests/peers/hapi/target tests/peers/keycloak/target

$(VENV)/bin/python:
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the pinned packages (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing the pinned packages for development"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.peers: tests/peers/package-lock.json tests/peers/hapi/pom.xml tests/peers/keycloak/pom.xml | $(VENV)/bin/python
	@echo "Installing the independent peers (Node packages, Java archives, Keycloak) for the peer tests"
	@cd tests/peers && npm ci --silent --no-audit --no-fund
	@cd tests/peers/hapi && mvn -q -B -C dependency:copy-dependencies
	@cd tests/peers && ../../$(BIN)/python -c "import keycloak_server; keycloak_server.install()"
	@touch $@
