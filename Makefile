# make demo     run the main job once against a throwaway Active Directory and Genesys Cloud, and print the report
# make test     run all tests (one level alone: test-unit, test-integration, test-system)
# make test-pythons   run the unit tests on each Python from 3.10 to 3.13 that this machine has
# make test-ldap3   run the directory tests with each ldap3 that is supported or announced
# make test-directory   run the directory tests alone (`make fresh DEBIAN=13 WHAT=test-directory`: with a newer Samba)
# make test-wheel   install the wheel into fresh environments with the oldest and the newest Airflow, and try it there
# make test-celery   run the DAG with the Celery executor, and kill and cut off its workers and servers
# make test-browser  try the pages in Chromium over real API servers with the wheel (PICTURES=folder keeps pictures)
# make levels   run the further levels (the wheel, Celery, Chromium) whose files changed since they were last green
# make test-all run lint, all tests, both fresh machines and every level
# make fresh    prove that `make demo` works on a machine where nothing lies about (DEBIAN="12 13", WHAT=test-quick)
# make chaos    100 runs in which one request in five fails in some way, and a process is killed in each
# make up       leave Airflow, Active Directory and Genesys Cloud running to play with (Ctrl-C ends them; EXECUTOR=celery: with Celery)
# make plan     print what the shipped definition would do in the sandbox, write nothing
# make fuzz     play 200 rounds of windows in any order, kills and spoilt answers (FUZZ_SEED=N: the first seed)
# make lint     ruff, mypy, which room may import which, sizes of files and functions, words that confuse readers
# make audit    look up the locked dependencies in a database of known vulnerabilities
# make wheel    build the package into dist/
# make coverage run the unit tests, and print which lines and branches they reach
# make docs     write the generated tables of docs/configuration.md and docs/check.md
# make lock     resolve requirements*.txt again into the lock files
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv

# Airflow runs each task in a new process. Where compiled modules may not be kept, half of its time goes into compiling.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help:
	@sed -n 's/^# make/make/p' Makefile

# The distribution's own comes first: it is built with optimisations that a Python compiled on the machine often lacks.
# A python3.x on the PATH may be a shim that does not run: each is tried.
define FIND_PYTHON
for p in $$PYTHON_FOR_VENV /usr/bin/python3 python3.13 python3.12 python3.11 python3.10 python3; do \
  command -v $$p >/dev/null 2>&1 && \
  $$p -c 'import sys, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && \
  { echo $$p; break; }; \
done
endef

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.10 to 3.13 with ensurepip found. Debian: apt-get install python3 python3-venv. Or set PYTHON_FOR_VENV." >&2; exit 1; \
	fi; \
	echo "Installing into $(VENV) with $$($$python --version)"; \
	$$python -m venv --clear $(VENV) && \
	sed -n '/^uv==/,/[^\]$$/p' requirements-dev.lock > $(VENV)/uv.lock && \
	$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock
	@$(UV) pip sync -q --require-hashes --compile-bytecode -p $(PYTHON) requirements-dev.lock
	@$(UV) pip install -q --no-deps --no-build-isolation -p $(PYTHON) -e .
	@touch $@

.PHONY: install
install: $(VENV)/.installed

.PHONY: demo
demo: install
	@sandbox/install-system-packages.sh demo
	@$(PYTHON) -m sandbox.demo

.PHONY: up
up: install
	@sandbox/install-system-packages.sh $(if $(filter celery,$(EXECUTOR)),celery,demo)
	@$(PYTHON) -m sandbox.demo --stay --executor $(or $(EXECUTOR),local)

.PHONY: plan
plan: install
	@sandbox/install-system-packages.sh demo
	@$(PYTHON) -m sandbox.demo --plan

PYTEST := $(VENV)/bin/pytest --dist loadgroup
# Most of the time goes into waiting for servers, so there are more workers than cores.
WORKERS ?= 6

# Each test has a journal and a Samba of its own. In memory, where there is room, no test waits for a disk.
IN_MEMORY = $(shell test -w /dev/shm && test "$$(df -m --output=avail /dev/shm | tail -n 1)" -ge 6000 && echo /dev/shm)
test test-unit test-integration test-system test-quick test-directory test-ldap3 test-celery fuzz chaos: export TMPDIR := $(or $(IN_MEMORY),$(TMPDIR),/tmp)

.PHONY: test test-unit test-integration test-system
test: test-packages
	@$(PYTEST) -n $(WORKERS) tests
test-unit: test-packages
	@$(PYTEST) -n auto tests/unit
test-integration: test-packages
	@$(PYTEST) -n $(WORKERS) tests/integration
test-system: test-packages
	@$(PYTEST) -n 2 tests/system

.PHONY: test-packages
test-packages: install
	@sandbox/install-system-packages.sh test

.PHONY: test-pythons
test-pythons: test-packages
	@UV=$(UV) tests/pythons.sh

# What a domain controller, or the LDAP library, may answer otherwise. Needs Samba, no PostgreSQL and no Chromium.
DIRECTORY_TESTS := tests/unit/genesys_ad_sync/directory tests/unit/genesys_ad_sync_airflow/active_directory \
	$(addprefix tests/integration/test_,$(addsuffix .py,directory_connection directory_reading directory_changes \
	deletions_without_tombstones expired_accounts odd_dirsync_answers refused_cookies failover probe))
.PHONY: test-directory
test-directory: install
	@sandbox/install-system-packages.sh demo
	@$(PYTEST) -n $(WORKERS) $(DIRECTORY_TESTS)

# 2.9.1 is in the lock file. 2.10 is not released yet: its candidates are looked at, never installed by `make install`.
LDAP3 ?= 2.9.1 2.10.2rc4
.PHONY: test-ldap3
test-ldap3: install
	@sandbox/install-system-packages.sh demo
	@UV=$(UV) PYTHON=$(PYTHON) WORKERS=$(WORKERS) LDAP3="$(LDAP3)" tests/ldap3.sh $(DIRECTORY_TESTS)

# Without build/: setuptools would pack modules that lie there from an earlier build and have since been moved.
DIST ?= dist
.PHONY: wheel
wheel: install
	@rm -rf build
	@$(UV) build -q --wheel --no-build-isolation -p $(PYTHON) -o $(DIST)
	@ls -t $(DIST)/genesys_ad_sync-*.whl | head -n 1

# A worker for each environment. They need the registry and little memory.
.PHONY: test-wheel
test-wheel: wheel
	@echo "Installing Airflow and the wheel into fresh environments: this takes a few minutes"
	@WHEEL=$$(ls -t $(DIST)/genesys_ad_sync-*.whl | head -n 1) $(PYTEST) -v --durations 10 -n 3 tests/wheel

# One Airflow for all of them, so one worker of pytest.
.PHONY: test-celery
test-celery: install
	@sandbox/install-system-packages.sh celery
	@$(PYTEST) -v --durations 10 -n 0 tests/celery

# axe, which looks for what a screen reader stumbles over, comes from npm where there is one. It is kept nowhere.
.PHONY: test-browser
test-browser: test-packages wheel
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	if command -v npm >/dev/null; then \
	  npm install --silent --no-audit --no-fund --prefix "$$folder" axe-core@4 && \
	  export AXE="$$folder/node_modules/axe-core/axe.min.js" || exit 1; \
	else echo "Without axe: there is no npm"; fi && \
	WHEEL=$$(ls -t $(DIST)/genesys_ad_sync-*.whl | head -n 1) $(PYTEST) -n 0 -v --durations 10 tests/browser

# The further levels, each where its files changed since it was last recorded as green (tests/levels.json).
.PHONY: levels
levels: install
	@$(PYTHON) tests/levels.py

# Everything, before a release or before an issue is closed. What was green is recorded in tests/levels.json.
.PHONY: test-all
test-all:
	@$(MAKE) lint
	@$(MAKE) test
	@$(MAKE) fresh
	@$(PYTHON) tests/levels.py --all

# A part of the suite that needs each system package: Samba, PostgreSQL, Chromium, and a real Airflow.
.PHONY: test-quick
test-quick: test-packages
	@$(PYTEST) -n 2 -m quick tests

DEBIAN ?= 12 13
WHAT ?= demo
.PHONY: fresh
fresh:
	@for debian in $(DEBIAN); do tests/fresh_machine.sh --debian $$debian $(WHAT) || exit 1; done

.PHONY: chaos
chaos: install
	@CHAOS_RUNS=$${CHAOS_RUNS:-100} $(VENV)/bin/pytest -n auto -v tests/integration/test_chaos.py

FUZZ_ROUNDS ?= 200
FUZZ_SEED ?= 1000
.PHONY: fuzz
fuzz: install
	@sandbox/install-system-packages.sh test
	@FUZZ_ROUNDS=$(FUZZ_ROUNDS) FAILOVER_ROUNDS=$(FUZZ_ROUNDS) FUZZ_SEED=$(FUZZ_SEED) $(PYTEST) -n auto -rP --no-header \
		tests/integration/test_fuzz_windows.py tests/integration/test_random_failover.py

.PHONY: lint
lint: install
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(PYTHON) tests/check_sizes.py
	@$(PYTHON) tests/check_words.py

.PHONY: audit
audit: install
	@$(PYTHON) tests/audit.py

.PHONY: coverage
coverage: test-packages
	@$(PYTEST) -n auto -q --cov --cov-report=term:skip-covered tests/unit

.PHONY: docs
docs: install
	@$(PYTHON) docs/generate_configuration.py
	@$(PYTHON) docs/generate_check.py

.PHONY: lock
lock: install
	@$(UV) pip compile -q --universal --python-version 3.10 --generate-hashes --custom-compile-command "make lock" pyproject.toml --extra postgres -c requirements-limits.txt -o requirements.lock
	@$(UV) pip compile -q --universal --python-version 3.10 --generate-hashes --custom-compile-command "make lock" requirements-dev.txt -c requirements.lock -o requirements-dev.lock

.PHONY: clean
clean:
	rm -rf $(VENV) .venv-3.* .venv-ldap3-* .sandbox .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* build dist *.egg-info
