# Two commands matter: `make run` and `make test`. The others are listed by `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= .data
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar on -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench docs constraints clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, with venv."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing earwitness and its embedded services into $(VENV)"
	$(PIP) -e '.[embedded,demo]'
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "Installing what the tests need"
	$(PIP) -e '.[embedded,demo,test]'
	@touch $@

setup: $(VENV)/.run ## make the environment only

run: $(VENV)/.run ## start everything, place sample calls, show what was recorded
	$(BIN)/earwitness up --data $(DATA) --demo

test: $(VENV)/.test ## lint, types, architecture contracts, every level of tests
	@sh tests/system_packages.sh
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest

check: $(VENV)/.test ## lint, types and architecture contracts only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test ## performance, as tables with ratios
	$(BIN)/python tests/benchmarks/bench_capture.py
	$(BIN)/python tests/benchmarks/bench_journal.py
	$(BIN)/python tests/benchmarks/bench_finalise.py
	$(BIN)/python tests/benchmarks/bench_invite.py
	$(BIN)/python tests/benchmarks/bench_commands.py

docs: $(VENV)/.test ## write the pages that are made from the code
	$(BIN)/python -c "from archive.settings import settings_page; print(settings_page(), end='')" > docs/settings.md
	$(BIN)/python -c "from recorder.srs.recording_mode import page; print(page(), end='')" > docs/recording-modes.md
	$(BIN)/python tests/architecture/code_map.py > docs/code-map.md

constraints: ## pin the newest versions that pass: run after a deliberate upgrade
	$(BIN)/python -m pip freeze --exclude-editable | grep == | sort -f > constraints.new
	{ head -1 constraints.txt; cat constraints.new; } > constraints.tmp && mv constraints.tmp constraints.txt && rm constraints.new

clean: ## remove environment, caches and the demo's data
	rm -rf $(VENV) $(DATA) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
