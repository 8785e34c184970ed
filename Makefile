# Every target does its own set-up: a virtual environment in .venv with the locked dependencies.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup localnet test coverage lint bench pages docs lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Assay needs Python 3.11 or newer"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

localnet: $(READY)  ## the whole game on this machine, offline
	$(BIN)/assay localnet $(ARGS)

test: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

coverage: $(READY)  ## branch coverage of the game, the wire, the evidence and the validator by their unit tests
	$(BIN)/python -m coverage run -m pytest -q -n 0 tests/unit/subnet/game tests/unit/subnet/wire tests/unit/subnet/evidence \
	  tests/unit/neurons/validator
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage report --include='subnet/game/*' --fail-under=95

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## every benchmark, one after another (leave_one_out.py trains for hours, tables.py measures nothing)
	for name in $(filter-out leave_one_out tables,$(basename $(notdir $(wildcard benchmarks/*.py)))); do \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

pages: $(READY)  ## what commands write: docs/commands.md, docs/benchmarks.md
	$(BIN)/python -m neurons.commands.reference
	$(BIN)/python -m benchmarks.tables

docs: build/docs/venv/.ready  ## the site of the pages, in build/docs/site
	build/docs/venv/bin/python docs/gather.py build/docs/pages
	build/docs/venv/bin/mkdocs build --quiet --strict
	@echo "build/docs/site/index.html"

build/docs/venv/.ready: Makefile
	$(PYTHON) -m venv build/docs/venv
	build/docs/venv/bin/python -m pip install --quiet mkdocs==1.6.1
	touch $@

lock:  ## resolve requirements.in anew
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade pip
	build/lock/bin/python -m pip install --quiet -r requirements.in
	build/lock/bin/python -m pip freeze --all --exclude pip --exclude setuptools \
	  | sed -E 's/^((nvidia-|triton|cuda-|uvloop)[^ ]*)$$/\1 ; sys_platform == "linux"/' > requirements.lock

clean:
	rm -rf $(VENV) build dist runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
