# Two commands: `make demo` and `make test`. Both do their own set-up; see `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The interpreter for .venv; looked up only when it is needed. Override: make demo PYTHON=python3.13
PYTHON ?= $(shell scripts/find_python.sh)
# TORCH=cpu takes PyTorch's own CPU build instead of the CUDA build that PyPI serves on Linux.
TORCH ?= default
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
DEMO_OUT := out/demo
PICTURES ?= 5000
DOCS_MODULE := deepscreen.cli_docs

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo "  TORCH=cpu takes the small CPU build of PyTorch; PYTHON=python3.12 picks the interpreter."

# ---- set-up -------------------------------------------------------------------------------------------------------

.PHONY: system
system:
	@scripts/apt.sh "$(if $(wildcard $(BIN)/pip),$(BIN)/python,$(PYTHON))"

.PHONY: system-tests
system-tests: system
	@scripts/apt.sh "$(if $(wildcard $(BIN)/pip),$(BIN)/python,$(PYTHON))" tests

# Order-only: the check above runs each time, but an environment that is there is kept.
$(BIN)/pip: | system
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@scripts/announce.sh packages $(TORCH)
	$(if $(filter cpu,$(TORCH)),$(PIP) install -c constraints.txt --index-url $(TORCH_CPU_INDEX) torch torchvision)
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

.PHONY: install dev weights
install: system $(VENV)/.installed  ## .venv with Deepscreen in it
dev: system-tests $(VENV)/.installed-dev  ## .venv with the tools for tests and checks as well

weights: install  ## pull and prove the pretrained weights
	@scripts/announce.sh weights
	$(BIN)/deepscreen weights pull

# ---- use ----------------------------------------------------------------------------------------------------------

.PHONY: demo serve
demo: weights  ## install, pull the weights, screen sample_media/, show the table
	@# Exit code 1 says that a file could not be screened. Exit code 2: there are results of an older version.
	$(BIN)/deepscreen scan sample_media --out $(DEMO_OUT) || [ $$? -eq 1 ] || \
	    { rm -r $(DEMO_OUT) && $(BIN)/deepscreen scan sample_media --out $(DEMO_OUT); } || [ $$? -eq 1 ]
	@echo "Heatmaps and explanations: file://$(abspath $(DEMO_OUT))/index.html"

serve: weights  ## the HTTP service on 127.0.0.1
	$(BIN)/deepscreen serve

# ---- checks -------------------------------------------------------------------------------------------------------

.PHONY: check format test test-fast
check: dev  ## formatting, lint, types, import arrows
	$(BIN)/ruff format --check src tests scripts
	$(BIN)/ruff check src tests scripts
	$(BIN)/mypy src scripts
	$(BIN)/pytest -q tests/unit/test_import_arrows.py

format: dev  ## rewrite the sources as `make check` wants them
	$(BIN)/ruff format src tests scripts
	$(BIN)/ruff check --fix src tests scripts

test: dev weights  ## all tests, golden ones included
	$(BIN)/pytest

test-fast: dev  ## unit tests that need no weights
	$(BIN)/pytest tests/unit -m "not weights and not slow"

.PHONY: soak air-gap
air-gap: dev weights  ## all that a machine without a network needs, into out/air-gap
	PYTHON=$(BIN)/python scripts/air_gap.sh out/air-gap

soak: dev  ## the fault tests at full length (hours); writes docs/faults.md
	DEEPSCREEN_SOAK=1 $(BIN)/pytest tests/faults

# ---- figures and generated files ----------------------------------------------------------------------------------

.PHONY: bench bench-scan golden docs constraints sample-media
bench: weights  ## the figures of the README on this machine
	$(BIN)/python -m deepscreen.evaluation.benchmark

bench-scan: weights  ## what a scan loses beside its stages; PICTURES=5000, an hour or more
	$(BIN)/python -m deepscreen.evaluation.scan_benchmark --pictures $(PICTURES)

golden: dev weights  ## renew the golden numbers and print what changed
	$(BIN)/python tests/golden/regenerate.py

docs: dev  ## renew the generated pages in docs/
	$(BIN)/python -m $(DOCS_MODULE)

constraints: dev  ## renew constraints.txt from what .venv holds
	$(BIN)/python scripts/freeze_constraints.py

# ---- machines that CI does not have -------------------------------------------------------------------------------

.PHONY: docker-check gpu-check clean
docker-check: dev  ## run the Dockerfile's install steps in a debootstrap root (needs root; not in CI)
	$(BIN)/python scripts/docker_check.py $(BINDS)

gpu-check: dev weights  ## CUDA against CPU, batch back-off, images per second (says so where no GPU is)
	$(BIN)/python scripts/gpu_check.py

clean:  ## remove .venv, out/ and caches; pulled weights stay
	rm -rf $(VENV) out dist .mypy_cache .ruff_cache .pytest_cache
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
