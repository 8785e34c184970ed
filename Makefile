# Every target does its own set-up: a virtual environment in .venv with the locked dependencies.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# uv does not read pip's settings: it asks the index that pip would.
UV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-`build/uv/bin/python -m pip config get global.index-url 2> /dev/null \
  || echo https://pypi.org/simple`}}" build/uv/bin/uv

.PHONY: setup localnet test test-extras compat coverage lint bench pages docs lock clean

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
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)  # three on two cores: tests wait, too; a thread each

# What the extras are for, on the lowest and the newest versions of each. All else is that of $(VENV).
EXTRAS = ray wandb postgres provenance heic
EXTRAS_TESTS = tests/unit/neurons/replicas tests/unit/generators/cluster tests/unit/detectors/cluster tests/unit/neurons/recipes/test_towers.py \
  tests/unit/neurons/validator/monitors tests/e2e/test_replicas.py tests/unit/neurons/gateway/store tests/e2e/test_gateway_replicas.py \
  tests/unit/neurons/provenance tests/unit/neurons/verdicts

test-extras: test-extras-lowest test-extras-newest

test-extras-%: build/extras/%/.ready
	build/extras/$*/bin/python -m pytest -q -n 0 -m 'slow or not slow' $(EXTRAS_TESTS) $(ARGS)

build/extras/%/.ready: pyproject.toml build/uv/.ready $(READY)
	rm -rf build/extras/$*
	$(BIN)/python -m venv build/extras/$*
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	  > `build/extras/$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'`/locked.pth
	$(UV) pip compile --quiet --no-annotate --no-header --no-strip-extras $(EXTRAS:%=--extra %) --python $(BIN)/python \
	  --resolution $(RESOLUTION_$*) --output-file build/extras/$*/resolved.txt pyproject.toml
	grep -E '^(ray|wandb|psycopg|psycopg-binary|c2pa-python|pillow-heif)(\[|==)' build/extras/$*/resolved.txt > build/extras/$*/installed.txt
	build/extras/$*/bin/python -m pip install --quiet -r build/extras/$*/installed.txt
	touch $@

# The lowest versions that pyproject.toml allows, the locked ones and the newest. torch and what comes with it are those of
# $(VENV) in all three: they are 5 GB.
COMPAT_TESTS = tests/unit/subnet/codec/test_sandbox.py tests/unit/subnet/codec/test_image.py tests/unit/subnet/wire \
  tests/contract/test_chain.py tests/unit/detectors/npr tests/contract/test_detectors.py tests/unit/neurons/doctor \
  tests/unit/subnet/game/test_likeness.py tests/unit/neurons/commands/evidence/test_verify.py tests/unit/test_packaging.py \
  -k "(not test_detectors or npr) and not mutated and not flood and not megabytes"
TORCH = torch* functorch* triton* nvidia* cuda*
RESOLUTION_lowest = lowest-direct
RESOLUTION_newest = highest

compat: compat-locked compat-lowest compat-newest  ## codec, wire, chain, a detector and the doctor on other versions

compat-locked: $(READY)
	$(BIN)/python -m pytest -q -n 0 $(COMPAT_TESTS)

compat-%: build/compat/%/.ready
	build/compat/$*/bin/python -m pytest -q -n 0 $(COMPAT_TESTS)

build/compat/%/.ready: pyproject.toml build/uv/.ready $(READY)
	rm -rf build/compat/$*
	$(BIN)/python -m venv build/compat/$*
	$(UV) pip compile --quiet --no-annotate --no-header --extra dev --python $(BIN)/python \
	  --resolution $(RESOLUTION_$*) --output-file build/compat/$*/resolved.txt pyproject.toml
	grep -Ev '^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==' build/compat/$*/resolved.txt > build/compat/$*/installed.txt
	mkdir build/compat/$*/torch
	site=`$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'` && \
	  for name in $(TORCH); do ln -s $$site/$$name build/compat/$*/torch/; done
	echo $(CURDIR)/build/compat/$*/torch > `build/compat/$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'`/torch.pth
	build/compat/$*/bin/python -m pip install --quiet --no-deps -r build/compat/$*/installed.txt
	build/compat/$*/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

build/uv/.ready:
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet 'uv>=0.9,<0.14'
	touch $@

coverage: $(READY)  ## branch coverage of the game, the wire, the evidence and the validator by their unit tests
	$(BIN)/python -m coverage run -m pytest -q -n 0 tests/unit/subnet/game tests/unit/subnet/wire tests/unit/subnet/evidence \
	  tests/unit/neurons/validator
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage report --include='subnet/game/*' --fail-under=95

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Not among them: what must be told of files or of what to do, a card, hours of training, what measures nothing.
TOLD = claims everyday frozen_tower matched_history together
bench: $(READY)  ## every other benchmark, one after another
	for name in $(filter-out $(TOLD) leave_one_out card tables gallery looks soak,$(basename $(notdir $(wildcard benchmarks/*.py)))); do \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

pages: $(READY)  ## what commands write: docs/commands.md, docs/benchmarks.md, docs/detectors.md
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

lock: build/uv/.ready  ## resolve the dependencies of pyproject.toml anew
	$(UV) pip compile --quiet --python-version 3.11 --extra dev --no-annotate --no-header --output-file build/lock.txt \
	  --upgrade pyproject.toml
	sed -E 's/^((nvidia-|triton|cuda-|uvloop)[^ ]*)$$/\1 ; sys_platform == "linux"/' build/lock.txt > requirements.lock

clean:
	rm -rf $(VENV) build dist runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
