# Two commands matter: `make run` and `make test`. The others are listed by `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= .data
PAGES := playback_portal/static/manifest.json
WEB := $(wildcard playback_portal/web/*) hatch_build.py package.json package-lock.json
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar on -c constraints.txt

# A service is five processes and a command is one; without what Python keeps beside its sources, each of
# them compiles all of earwitness anew.
unexport PYTHONDONTWRITEBYTECODE

# Two workers place real calls and open real browsers, and wait most of the time; the others take the tests
# that need no whole service meanwhile. There is one worker more than there are cores. The order is that
# of tests/two_ends.py, so that few services are started. What failed is shown, and tried once more, alone
# and in services of its own: a machine that others use is late at times. Who fails twice has failed.
WORKERS = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
TOGETHER = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
AGAIN = --last-failed --last-failed-no-failures none

# Types take one core for as long as all the others take a second one. Each tells its own when it is through.
CHECKS = check-types check-style check-contracts check-scripts
BESIDE = --jobs 2 --output-sync=target

.DEFAULT_GOAL := help
.PHONY: help setup run test soak pictures check $(CHECKS) system-packages bench docs messages constraints clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, with venv."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing earwitness and its embedded services into $(VENV), and building its pages"
	$(PIP) -e '.[embedded,demo]'
	@touch $@
	@touch $(PAGES)

# Node may live only where packages are built, so that pip is asked to build and not Node itself.
$(PAGES): $(VENV)/.run $(WEB)
	@echo "Building the pages: their sources have changed"
	@$(PIP) --quiet --no-deps -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "Installing what the tests need"
	$(PIP) -e '.[embedded,demo,test]'
	@touch $@
	@touch $(PAGES)

# In a test environment Node is always there, so that types are checked and axe is found.
node_modules/axe-core: $(VENV)/.test package-lock.json
	@$(BIN)/python hatch_build.py --tools
	@touch $@

setup: $(PAGES) ## make the environment only

run: $(PAGES) ## start everything, place sample calls, show what was recorded
	$(BIN)/earwitness up --data $(DATA) --demo

test: $(VENV)/.test $(PAGES) node_modules/axe-core ## lint, types, architecture contracts, every level of tests
	@$(MAKE) --no-print-directory $(BESIDE) $(CHECKS) system-packages
	$(BIN)/python -m pytest $(TOGETHER) || $(BIN)/python -m pytest $(AGAIN)

soak: $(VENV)/.test $(PAGES) node_modules/axe-core ## what make test does in small: every combination of pages, 10,000 tampered logs, every bit of a signature, 10,000 steps of retention
	@sh tests/system_packages.sh
	$(BIN)/python -m pytest --soak tests/browser/test_accessibility.py tests/unit/archive/transparency/test_verification.py tests/unit/archive/evidence/test_verification.py tests/unit/retention/test_any_order.py

pictures: $(VENV)/.test $(PAGES) ## take the pictures of the documents anew
	@sh tests/system_packages.sh
	$(BIN)/python tests/browser/screenshots.py docs/pictures

check: $(VENV)/.test node_modules/axe-core ## lint, types and architecture contracts only
	@$(MAKE) --no-print-directory $(BESIDE) $(CHECKS)

check-types:
	$(BIN)/mypy

check-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-contracts:
	$(BIN)/lint-imports

check-scripts:
	$(BIN)/python hatch_build.py --check

system-packages:
	@sh tests/system_packages.sh

bench: $(VENV)/.test ## performance, as tables with ratios
	@missed=; for each in capture journal finalise invite commands live playback lighthouse rotation search reports audit; do \
	  $(BIN)/python tests/benchmarks/bench_$$each.py || missed="$$missed $$each"; \
	done; if [ -n "$$missed" ]; then echo "missed an aim, or failed:$$missed"; exit 1; fi

docs: $(VENV)/.test ## write the pages that are made from the code
	$(BIN)/python -c "from archive.settings import settings_page; print(settings_page(), end='')" > docs/settings.md
	$(BIN)/python -c "from recorder.srs.recording_mode import page; print(page(), end='')" > docs/recording-modes.md
	$(BIN)/python tests/architecture/code_map.py > docs/code-map.md

messages: $(PAGES) ## put new texts of the pages into playback_portal/locale, where their Dutch is written
	$(BIN)/python -m playback_portal.messages

constraints: ## pin the newest versions that pass: run after a deliberate upgrade
	$(BIN)/python -m pip freeze --exclude-editable | grep == | sort -f > constraints.new
	{ head -1 constraints.txt; cat constraints.new; } > constraints.tmp && mv constraints.tmp constraints.txt && rm constraints.new

clean: ## remove environment, caches and the demo's data
	rm -rf $(VENV) $(DATA) node_modules playback_portal/static .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
