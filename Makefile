# The commands of the project.  A target only starts a job; the package that it starts has the code.
#
# Everything that a target needs is installed below this folder, in .venv; only PYTHON must exist.

PYTHON ?= python3

# The hosts of the workers of check-distributed, as names for ssh; without any, two run here.
HOSTS ?=
MODEL ?= closed

# How long simulate runs, and its first seed.
MINUTES ?= 10
SEED ?= 1

# The size of a campaign.
SEEDS ?= 10000
LOADS ?= 100
KILLS ?= 500
LINES ?= 1000000

# The node to grade, and a folder of existing golden traces, such as out/golden after `make check`.
NODE ?= python3 impl/main.py
GOLDEN ?=

# How many traces mutate-traces mutates.
MUTATED ?= 2000

# How often bench measures each figure.
REPETITIONS ?= 7

# A job starts thousands of processes, and each would compile its modules again if none may write
# bytecode.
export PYTHONDONTWRITEBYTECODE :=

# One stamp for each PYTHON, so that the environment is rebuilt for another one.
venv := .venv/made-by$(subst /,-,-$(PYTHON))
python := .venv/bin/python
pip := python -m pip --disable-pip-version-check --no-cache-dir
# Every package is checked against the hashes in constraints.txt.
install := .venv/bin/$(pip) install --no-deps
hashed := --require-hashes --requirement

.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets (this is what plain `make` does).
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile
	@echo 'Add PYTHON=python3.12 to choose the Python that .venv is made with (python3 otherwise).'

.PHONY: check
check: $(venv) ## Check the models, and compare the node with the specification.
	@$(python) -m conformance check

.PHONY: demo
demo: $(venv) ## Show in 20 seconds a run that passes and a planted bug that is caught.
	@$(python) tests/demo.py

.PHONY: check-large
check-large: $(venv) ## Search the large models for two to three hours; continues where it was stopped.
	@$(python) -m conformance models --tier large --checkpoints out/checkpoints

.PHONY: mutate-traces
mutate-traces: $(venv) ## Test trace validation with MUTATED traces, from SEED on.
	@$(python) -m conformance mutate-traces --number $(MUTATED) --seed $(SEED)

.PHONY: simulate
simulate: $(venv) ## Random behaviours of a large cluster, for MINUTES from SEED on.
	@$(python) -m conformance simulate --minutes $(MINUTES) --seed $(SEED)

.PHONY: check-distributed
check-distributed: $(venv) ## Check one MODEL with TLC on several HOSTS (two workers here if none).
	@$(python) -m conformance distributed $(MODEL) $(HOSTS:%=--host %)

.PHONY: lint
lint: $(venv) ## Check style, format and types.
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@$(python) -m mypy

.PHONY: test
test: $(venv) lint ## Run lint and then the tests.
	@$(python) -m pytest --numprocesses auto --dist worksteal

.PHONY: campaign
campaign: $(venv) ## Simulation, fault injection and fuzzing, by the thousand.
	@$(python) -m tests.simulation --seeds 1..$(SEEDS) -o out/simulated
	@for load in steady busy lossy takeover duel storm; do \
	    $(python) -m tests.simulation --load $$load --seeds 1..$(LOADS) -o out/simulated || exit; done
	@for outstanding in 1 32 1000 20000; do $(python) -m tests.simulation --load burst --seeds 1..4 \
	    --outstanding $$outstanding -o out/simulated || exit; done
	@rm -rf out/faults
	@$(python) -m conformance inject -o out/faults --nodes 5 --kills $(KILLS) --seconds 3600 \
	    --seed $(SEED) -- $(python) impl/main.py --cache-kib 1 --log-max-bytes 20000
	@$(python) -m tests.fuzzing --lines $(LINES) --seed $(SEED)

.PHONY: mutants
mutants: $(venv) ## Count the mutants of node and specification that the harness catches.
	@$(python) -m tests.mutants --seed $(SEED)

.PHONY: grade
grade: $(venv) ## Grade NODE="./my-node" in stages; GOLDEN=out/golden reuses golden traces.
	@$(python) -m conformance grade $(GOLDEN:%=--golden %) -- $(NODE)

.PHONY: bench
bench: .venv/bench ## Measure the node beside its peers, for some minutes.
	@$(python) -m conformance bench --repetitions $(REPETITIONS)

.PHONY: growth
growth: $(venv) ## Count how the work of each operation grows with its size.
	@$(python) -m tests.growth

.PHONY: lock
lock: ## Pin the newest versions that pyproject.toml allows, with hashes, in constraints.txt.
	@$(PYTHON) -m venv --clear .venv-lock
	@.venv-lock/bin/$(pip) install --quiet 'uv>=0.5,<1'
	@.venv-lock/bin/uv --no-cache --quiet pip compile pyproject.toml --output-file constraints.txt \
	    --upgrade --all-extras --universal --python-version 3.10 --generate-hashes \
	    --custom-compile-command 'make lock'
	@rm -rf .venv-lock

.PHONY: clean
clean: ## Remove the environment and everything that was generated.
	@rm -rf .venv .venv-lock .mypy_cache .pytest_cache .ruff_cache build dist out *.egg-info
	@find . -type d '(' -name __pycache__ -o -name .hypothesis ')' -prune -exec rm -rf {} +

# Install all pinned packages, including those that build the project, except PySyncObj, which exists
# only as source.  The project itself has no hash; it is built with the installed packages instead of
# an isolated build, which would download them again.
$(venv): pyproject.toml constraints.txt
	@echo 'Making .venv with $(PYTHON) (once, about a minute) ...'
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or later, please.")'
	@$(PYTHON) -m venv --clear .venv
	@awk '/^[a-z]/ { keep = !/^pysyncobj==/ } keep' constraints.txt > .venv/pinned.txt
	@{ $(install) --only-binary :all: $(hashed) .venv/pinned.txt && \
	    $(install) --no-build-isolation --check-build-dependencies --editable . && \
	    .venv/bin/$(pip) check; } \
	    > .venv/install.log 2>&1 || { cat .venv/install.log >&2; exit 1; }
	@touch $@

# Only the benchmark needs PySyncObj.  The wheel package that its build requires is now a part of
# setuptools.
.venv/bench: $(venv)
	@echo 'Adding PySyncObj to .venv (once) ...'
	@awk '/^[a-z]/ { keep = /^pysyncobj==/ } keep' constraints.txt > .venv/pinned-bench.txt
	@$(install) --no-binary pysyncobj --no-build-isolation $(hashed) .venv/pinned-bench.txt \
	    > .venv/install-bench.log 2>&1 || { cat .venv/install-bench.log >&2; exit 1; }
	@touch $@
