# PYTHON chooses the interpreter: `make test PYTHON=python3.13`. Each version gets its own environment.
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV ?= .venv/$(VERSION)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 4
MINUTES ?= 10

.PHONY: test test-all test-lowest again demo bench soak kills parity screenshots lint types check clean install

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# Runs the tests with a mark expression; what failed is noted for `again` only if the run came to its end.
FAILED := .pytest_cache/v/cache/lastfailed
define pytest
	@rm -f $(FAILED)
	$(1)/python -m pytest -n $(WORKERS) --dist loadfile -m '$(2)' \
		|| { code=$$?; test $$code -eq 1 || rm -f $(FAILED); exit $$code; }
endef

test: $(STAMP)
	$(call pytest,$(BIN),not slow and not long)

test-all: $(STAMP)
	$(call pytest,$(BIN),not long)

# The tests that failed the last time, one after another; without such a time it fails.
again:
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none -m 'not long'

# The oldest releases that pyproject.toml allows, on the chosen interpreter, and which tests run with them.
LOWEST := .venv/lowest
LOWEST_TESTS ?= not slow and not long

$(LOWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[dev]'
	touch $@

test-lowest: $(LOWEST)/.installed
	$(call pytest,$(LOWEST)/bin,$(LOWEST_TESTS))

demo: $(STAMP)
	$(BIN)/akto-mirror demo

bench: $(STAMP)
	$(BIN)/python -m benchmarks

parity: $(STAMP)
	@# 3: no node or no rig here; the recorder has said so.
	$(BIN)/python -m tests.parity.record || test $$? -eq 3

soak: $(STAMP)
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

kills: $(STAMP)
	$(BIN)/python -m tests.faults.kills 100

# The docs' pictures; needs chromium and a font with emoji (Debian: chromium fonts-noto-color-emoji).
screenshots: $(STAMP)
	$(BIN)/python -m tests.screenshots

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
