# `make help` lists what there is. Each target makes the environment it needs.

# The first of these that runs and is Python 3.10, 3.11 or 3.12 (a pyenv shim may exist and not
# run). `make PYTHON=/path/to/python3.11 test` takes another.
IS_RIGHT := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do \
	"$$p" -c '$(IS_RIGHT)' >/dev/null 2>&1 && echo "$$p" && break; done)

# Everything; alibi needs NumPy below 2.
EXTRAS ?= torch,tensorflow,art,alibi,images,report,jobs,dask,ray,docs,test
EXTRAS_NUMPY2 ?= torch,art,images,report,jobs,test
EXTRAS_OLDEST ?= torch,tensorflow,art,alibi,images,report,jobs,dask,ray,test

VENV := .venv
VENV_NUMPY2 := .venv-numpy2
VENV_OLDEST := .venv-oldest
# The stamps say: this environment holds these extras, whole, from these two files.
STAMP := $(VENV)/.installed-$(EXTRAS)
STAMP_NUMPY2 := $(VENV_NUMPY2)/.installed-$(EXTRAS_NUMPY2)
STAMP_OLDEST := $(VENV_OLDEST)/.installed-$(EXTRAS_OLDEST)

DEMO_OUT ?= demo_output
PYTEST_ARGS ?=
# Each worker is one process on one thread; more than four mostly wait for memory.
WORKERS := -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-all test-numpy2 test-oldest docs lint format typecheck venv venv-numpy2 \
	venv-oldest clean

# $(call install,VENV,CONSTRAINTS,EXTRAS,STAMP)
# Without a stamp the environment is new, or its install was interrupted: made from scratch.
# With an older stamp: brought up to date. The stamp goes first and comes back last.
define install
	@test -n "$(PYTHON)" || { echo "make: no Python 3.10, 3.11 or 3.12 found; name one:" \
		"make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@if ! ls $(1)/.installed-* >/dev/null 2>&1 || ! $(1)/bin/python -m pip --version >/dev/null 2>&1; \
	then echo "making $(1) with $(PYTHON)"; "$(PYTHON)" -m venv --clear $(1); fi
	@rm -f $(1)/.installed-*
	$(1)/bin/python -m pip install --disable-pip-version-check --no-input \
		-c $(2) -e '.[$(3)]'
	@touch $(4)
endef

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)$$/\1	\2/p' Makefile | expand -t 14

demo: $(STAMP) ## Explain a bundled data set with and without robustness; writes demo_output/
	$(VENV)/bin/dice-extended demo --out $(DEMO_OUT)

test: $(STAMP) ## Run the tests, all but the slow ones
	$(VENV)/bin/python -m pytest $(WORKERS) -m "not slow" $(PYTEST_ARGS)

test-all: $(STAMP) ## Run every test, the slow ones too
	$(VENV)/bin/python -m pytest $(WORKERS) $(PYTEST_ARGS)

test-numpy2: $(STAMP_NUMPY2) ## Run the tests in a second environment: newest NumPy and pandas
	$(VENV_NUMPY2)/bin/python -m pytest $(WORKERS) -m "not slow and not once" $(PYTEST_ARGS)

test-oldest: $(STAMP_OLDEST) ## Run the tests with the oldest hosts; needs Python 3.11
	$(VENV_OLDEST)/bin/python -m pytest $(WORKERS) -m "not slow" $(PYTEST_ARGS)

docs: $(STAMP) ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

lint: $(STAMP) ## Check style and format (ruff)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(STAMP) ## Put the code into the project's format (ruff)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

typecheck: $(STAMP) ## Check the types (mypy)
	$(VENV)/bin/mypy

venv: $(STAMP) ## Make the environment only

venv-numpy2: $(STAMP_NUMPY2) ## Make the second environment only

venv-oldest: $(STAMP_OLDEST) ## Make the environment with the oldest hosts only

clean: ## Remove the environments, caches and outputs
	rm -rf $(VENV) $(VENV_NUMPY2) $(VENV_OLDEST) build dist *.egg-info $(DEMO_OUT) site story_output
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	$(call install,$(VENV),constraints.txt,$(EXTRAS),$@)

$(STAMP_NUMPY2): pyproject.toml constraints-numpy2.txt
	$(call install,$(VENV_NUMPY2),constraints-numpy2.txt,$(EXTRAS_NUMPY2),$@)

# NumPy 1.24 has no build for Python 3.12, and the pins were resolved on 3.11.
$(STAMP_OLDEST): pyproject.toml constraints-oldest.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo "make: the oldest hosts need Python 3.11; name one:" \
		"make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(call install,$(VENV_OLDEST),constraints-oldest.txt,$(EXTRAS_OLDEST),$@)
