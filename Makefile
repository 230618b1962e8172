# Everything a developer or a user types. `make` alone lists it.
#   VENV=dir      another virtual environment (default .venv)
#   PYTHON=path   the Python it is made with (default: the newest of 3.13, 3.12, 3.11 found)
#   ARGS="..."    passed on to the command behind the target

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
ARGS ?=
SCENARIOS ?= latency bus throughput
export PYTHON
unexport PYTHONDONTWRITEBYTECODE # tests are rewritten and compiled once, not at every run

BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PYTEST := $(BIN)/python -m pytest
RUNTIME := $(VENV)/.ansf-runtime
DEVELOPMENT := $(VENV)/.ansf-development

# What runs in seconds, without a server, a browser or a killed process: half of it for each of
# two cores, with a quarter of the examples of `make test`.
FAST := -q -m "not (postgres or rabbitmq or valkey or browser or fault or slow)"
FIRST_HALF := tests/admin tests/api tests/cli tests/coordination tests/dashboard tests/patterns tests/workers
SIDE_BY_SIDE := $(MAKE) --no-print-directory --jobs=2 --output-sync=target

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST)) | if [ -t 1 ] && [ -z "$${NO_COLOR:-}" ]; then cat; \
		else sed 's/\x1b\[[0-9]*m//g'; fi

.PHONY: setup
setup: $(RUNTIME) ## Make .venv and install what ANSF needs to run

.PHONY: setup-dev
setup-dev: $(DEVELOPMENT) ## The same, with the tools that check and test it

$(RUNTIME): requirements.txt scripts/setup-venv
	@scripts/setup-venv "$(VENV)" requirements.txt
	@echo "Compiling the kernels ..." >&2
	@NUMBA_CACHE_DIR=.ansf/kernels $(BIN)/python -c "from kernels import warm; warm.warm()" || \
		echo "setup: the kernels did not compile; the first start will say why" >&2
	@touch "$@"

$(DEVELOPMENT): $(RUNTIME) requirements-dev.txt
	@scripts/setup-venv "$(VENV)" requirements.txt requirements-dev.txt
	@touch "$@"

.PHONY: up
up: setup ## Run the whole system on this machine; Ctrl-C stops it
	@$(MANAGE) up $(ARGS)

.PHONY: demo
demo: setup ## The main job on real series; CSV=file.csv COLUMN=name for your own
	@$(MANAGE) demo $${CSV:+--csv "$$CSV"} $${COLUMN:+--column "$$COLUMN"} $(ARGS)

.PHONY: check
check: setup-dev ## All that needs no server: lint, types, layers, fast tests
	@$(SIDE_BY_SIDE) fast-second fast-first types lint contracts

.PHONY: lint
lint: setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: setup-dev
	@$(BIN)/mypy

.PHONY: contracts
contracts: setup-dev
	@$(BIN)/lint-imports --no-logo

.PHONY: fast fast-first fast-second
fast: setup-dev
	@$(SIDE_BY_SIDE) fast-first fast-second

fast-first fast-second: export HYPOTHESIS_PROFILE ?= quick
fast-first: setup-dev
	@$(PYTEST) $(FAST) $(FIRST_HALF) $(ARGS)

fast-second: setup-dev
	@$(PYTEST) $(FAST) $(addprefix --ignore=,$(FIRST_HALF)) $(ARGS)

.PHONY: services
services:
	@bash scripts/install-services.sh

.PHONY: test
test: setup-dev services ## The whole suite on real servers and a real browser
	@scripts/run-tests $(BIN)/python $(ARGS)

.PHONY: coverage
coverage: setup-dev services ## The same traced, with what was not run; fails when that is much
	@TRACED=1 scripts/run-tests $(BIN)/python $(ARGS)

.PHONY: oracle
oracle: setup-dev ## Compare the kernels with nolds, antropy and other peers; prints a table
	@scripts/setup-venv .ansf/peers/aeon benchmarks/aeon.txt || \
		echo "oracle: aeon could not be installed; its agreements are left out" >&2
	@$(BIN)/python -m tests.oracle $(ARGS)

.PHONY: kernels
kernels: setup-dev ## The kernels' tests as plain Python, then with every index checked (3 minutes)
	@NUMBA_DISABLE_JIT=1 $(PYTEST) -q tests/kernels $(ARGS)
	@NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.ansf/kernels-checked \
		$(BIN)/python -c "from kernels import warm; warm.warm()"
	@NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.ansf/kernels-checked $(PYTEST) -q tests/kernels $(ARGS)

.PHONY: redis-8
redis-8: setup-dev ## The limiter's tests on Redis 8, which is compiled for it (2 minutes)
	@scripts/build-redis-8 $(BIN)/python .ansf/redis-8
	@ANSF_TEST_VALKEY=$(CURDIR)/.ansf/redis-8/redis-server $(PYTEST) -q tests/ratelimit $(ARGS)

.PHONY: e2e
e2e: setup-dev services ## The tests that drive a browser
	@$(PYTEST) -m browser $(ARGS)

.PHONY: bench
bench: setup-dev services ## Measure; SCENARIOS="latency bus" chooses, ARGS=--json prints JSON
	@for scenario in $(SCENARIOS); do $(MANAGE) bench "$$scenario" $(ARGS); done

.PHONY: requirements
requirements: setup-dev ## Write the pins anew from requirements*.in; UPGRADE=1 moves them
	@scripts/pin-requirements "$(BIN)/python" $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## Remove .ansf (the embedded system's data) and all caches
	@scripts/clean
