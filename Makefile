# PYTHON chooses the interpreter: `make test PYTHON=python3.13`. Each version gets its own environment.
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV ?= .venv/$(VERSION)
BIN := $(VENV)/bin
USERS := $(VENV)/.users
STAMP := $(VENV)/.installed
PIP := -m pip install --disable-pip-version-check --constraint constraints.txt
WORKERS ?= 4
MINUTES ?= 10

.PHONY: install constraints check-constraints test test-all test-lowest demo fresh bench soak kills fulldisk parity
.PHONY: screenshots lint types check clean

install: $(STAMP)

# What users need, and no more. The constraints keep old releases of pip from looking through every release of each
# package; --use-pep517 keeps them from complaining about packages without a wheel.
$(USERS): pyproject.toml constraints.txt
	@echo "Installing akto-mirror and what it needs into $(VENV): half a minute to two minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --use-pep517 --editable .
	@touch $@

# What developers need besides; pip before 25.1 does not know dependency groups.
GROUP := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")

$(STAMP): $(USERS)
	@echo "Installing the tools of the tests into $(VENV): half a minute to two minutes, once."
	@$(BIN)/python -c '$(GROUP)' > $(VENV)/dev.txt
	$(BIN)/python $(PIP) --requirement $(VENV)/dev.txt
	@touch $@

# It trusts what the system trusts, as pip does.
UV := UV_SYSTEM_CERTS=true .venv/uv/bin/uv

.venv/uv/.installed:
	$(PYTHON) -m venv .venv/uv
	.venv/uv/bin/python $(PIP) uv
	@touch $@

# Locks what developers and the demo get, for every supported Python; with newer releases by `make constraints UPGRADE=--upgrade`.
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --group dev --group lock pyproject.toml \
	--no-emit-index-url --no-annotate --custom-compile-command 'make constraints' $(UPGRADE)

constraints: .venv/uv/.installed
	$(LOCK) --output-file constraints.txt

# Fails if constraints.txt does not follow pyproject.toml.
check-constraints: .venv/uv/.installed
	@cp constraints.txt .venv/uv/constraints.txt
	$(LOCK) --output-file .venv/uv/constraints.txt
	diff constraints.txt .venv/uv/constraints.txt

# Runs the tests with a mark expression, those that need a quiet machine alone. The files run in the order of their names:
# those that start processes first, so that no long one is left for the end.
define pytest
	$(1)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m '($(2)) and not serial'
	$(1)/python -m pytest -q -m '($(2)) and serial'
endef

test: $(STAMP)
	$(call pytest,$(BIN),not slow and not long)

test-all: $(STAMP)
	$(call pytest,$(BIN),not long)

# The oldest releases that pyproject.toml allows, on the chosen interpreter, and which tests run with them.
LOWEST := .venv/lowest
LOWEST_TESTS ?= not slow and not long

$(LOWEST)/.installed: pyproject.toml .venv/uv/.installed
	$(PYTHON) -m venv $(LOWEST)
	$(UV) pip install --python $(LOWEST)/bin/python --resolution lowest-direct --group dev --editable .
	@touch $@

test-lowest: $(LOWEST)/.installed
	$(call pytest,$(LOWEST)/bin,$(LOWEST_TESTS))

demo: $(USERS)
	$(BIN)/akto-mirror demo

# The first commands of the README, and its installations, on a stock Debian that is built for it; needs root.
fresh:
	@# 3: it cannot be built here; that has been said.
	$(PYTHON) -m tests.fresh || test $$? -eq 3

bench: $(STAMP)
	$(BIN)/python -m benchmarks

parity: $(STAMP)
	@# 3: no node or no rig here; the recorder has said so.
	$(BIN)/python -m tests.parity.record || test $$? -eq 3

soak: $(STAMP)
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) --processes 2
	$(BIN)/python -m benchmarks steady

kills: $(STAMP)
	$(BIN)/python -m tests.faults.kills 100
	$(BIN)/python -m tests.faults.kills 100 --processes 2

# Each kind of disk for this many seconds; those that cannot be mounted here are left out with a message.
SECONDS_FULL ?= 600

fulldisk: $(STAMP)
	$(BIN)/python -m tests.faults.fulldisk --seconds $(SECONDS_FULL)

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
