# make app    install on first use, then serve at http://127.0.0.1:7860
PYTHON ?= python3
PORT ?= 7860
ARGS ?=
# one more than cores, for tests wait for browsers and servers
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
VENV := .venv
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help app test coverage quick check lint types audit screenshots

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 22

app: $(VENV)/installed ## serve the app (PORT=7860, ARGS="--data-dir data")
	$(RUN) -m workbench app --port $(PORT) $(ARGS)

# exit code 5 says that a selection left no test to one of the two parts; a failure in either part fails the whole
test: $(VENV)/installed ## run the tests (ARGS="-k media")
	@$(RUN) -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder -m "not alone" $(ARGS); parallel=$$?; \
	$(RUN) -m pytest -m alone $(ARGS); alone=$$?; \
	if [ $$parallel -eq 0 ] && [ $$alone -eq 5 ]; then exit 0; fi; \
	if [ $$parallel -ne 0 ] && [ $$parallel -ne 5 ]; then exit $$parallel; fi; \
	exit $$alone

coverage: $(VENV)/installed ## run the tests and tell which share of the code they run
	$(RUN) -m coverage erase
	$(MAKE) test ARGS="--cov --cov-append --cov-report= $(ARGS)"
	$(RUN) -m coverage report

quick: $(VENV)/installed ## run the tests that answer in a minute
	$(RUN) -m pytest -q -n 2 --dist loadfile @tests/quick.txt

check: lint types ## check style, format and types

lint: $(VENV)/installed ## check style and format
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/installed ## check the types of models, eval and workbench
	$(RUN) -m mypy

audit: $(VENV)/installed ## look the installed packages up in a list of known faults (ARGS="--strict")
	$(RUN) -m workbench audit $(ARGS)

screenshots: $(VENV)/installed ## take the pictures of the README from the running app
	$(RUN) -m workbench lab screenshots

$(VENV)/installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11; give a newer one by PYTHON=python3.11" >&2; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "no virtual environments here: sudo apt-get install python3-venv" >&2; exit 1; }
	$(RUN) -m pip install --disable-pip-version-check --quiet -r requirements.txt -r requirements-dev.txt
	@$(RUN) -c 'import cv2' || \
		{ echo "system libraries are missing: sudo apt-get install $$(xargs < packages.txt)" >&2; exit 1; }
	@touch $@
