# SPDX-License-Identifier: Apache-2.0
# Every target sets up what it needs first; the second time that costs nothing.
PY := .venv/bin/python
PYTEST := $(PY) -m pytest
FAST := -m "not guest" -n auto --dist worksteal $(if $(COVERAGE),--cov --cov-report=term)
# Without byte code each test process compiles every test again: 20 s of the fast tests' minute.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help setup run test fast-test planes guest-test lint bench blame mutate prove churn judged hostile fuzz kills clean

help:        ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup:       ## host tools, the Python environment and what a guest needs (QEMU, kernel, libvfio-user)
	@sh scripts/setup.sh
	@$(PY) -m plx9x5x toolchain fetch

run: setup   ## the main job: a real driver in a real guest against the emulated board (options: ARGS="--help")
	@$(PY) -m plx9x5x run $(ARGS)

test: fast-test guest-test ## fast tests, then the ones that boot a guest

fast-test: setup ## no QEMU, under a minute (COVERAGE=1: with branch coverage, twice as long)
	@$(PYTEST) $(FAST) $(ARGS)

planes: setup ## the rules of the model on each plane by name: no trace leaves the native one's work to Python
	@for plane in native python; do PLX9X5X_PLANE=$$plane $(PYTEST) -q -n auto device/tests/behaviour || exit; done

guest-test: setup ## boots guests under QEMU: one test per case of the guest driver
	@$(PYTEST) -m guest guest-tests $(ARGS)

lint: setup  ## ruff, mypy --strict, import-linter
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy && .venv/bin/lint-imports

bench: setup ## registers, interrupts, DMA, start and growth beside their peers, as ratios (options: ARGS="--help")
	@$(PY) scripts/bench.py $(ARGS)

blame: setup ## each mistake of guest-tests/wrong in every guest: who is named for it, and docs/blame.md (ARGS="--help")
	@$(PY) scripts/blame.py $(ARGS)

mutate: setup ## change the model in 600 places, one at a time, and list what no test noticed (about 20 minutes)
	@$(PY) scripts/mutate.py $(ARGS)

prove: setup ## break each bit of the register table and record which case of the behaviour suite notices
	@$(PY) scripts/prove.py $(ARGS)

churn: setup ## 100 000 random allocations and frees on nthal's platforms, with exact books after every step
	@$(PY) scripts/churn.py $(ARGS)

judged: setup ## 100 000 random drivers on random machines: what nthal allocates passes its own judge
	@$(PY) scripts/judged.py $(ARGS)

hostile: setup ## ten million hostile descriptors for the native plane, with sanitizers (a minute)
	@$(PY) scripts/hostile.py $(ARGS)

kills: setup ## kill -9 of clients, servers and QEMU at random instants: nothing is left (about 15 minutes; ARGS="--help")
	@$(PY) scripts/kills.py $(ARGS)

fuzz: setup ## mutants of the kept corpus for the wire's server and for the chip, a minute of each (options: ARGS="--help")
	@$(PY) scripts/fuzz.py $(ARGS)

clean:       ## remove the environment and build results; the cache of downloads stays (plx9x5x toolchain clean)
	rm -rf .venv build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
