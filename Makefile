# make app    install on first use, then serve at http://127.0.0.1:7860
PYTHON ?= python3
PORT ?= 7860
ARGS ?=
WORKERS ?= logical
QUICK := tests/test_layout.py tests/models/test_world.py tests/models/networks/test_weights.py \
  tests/models/training/test_losses.py tests/eval/test_stats.py tests/eval/test_paired.py tests/eval/test_over_time.py \
  tests/eval/test_frame_metrics.py tests/workbench/clips/test_timeline.py tests/workbench/clips/test_grid.py \
  tests/workbench/ui/test_words.py
VENV := .venv
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help app test quick lint audit screenshots

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 22

app: $(VENV)/installed ## serve the app (PORT=7860, ARGS="--data-dir data")
	$(RUN) -m workbench app --port $(PORT) $(ARGS)

# exit code 5 says that a selection left no test to one of the two parts; a failure in either part fails the whole
test: $(VENV)/installed ## run the tests (ARGS="-k media")
	@$(RUN) -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile -m "not alone" $(ARGS); parallel=$$?; \
	$(RUN) -m pytest -m alone $(ARGS); alone=$$?; \
	if [ $$parallel -eq 0 ] && [ $$alone -eq 5 ]; then exit 0; fi; \
	if [ $$parallel -ne 0 ] && [ $$parallel -ne 5 ]; then exit $$parallel; fi; \
	exit $$alone

quick: $(VENV)/installed ## run the tests that answer in a minute
	$(RUN) -m pytest -q -n 2 --dist loadfile $(QUICK)

lint: $(VENV)/installed ## check the style
	$(RUN) -m ruff check .

audit: $(VENV)/installed ## look the installed packages up in a list of known faults (ARGS="--strict")
	$(RUN) -m workbench audit $(ARGS)

screenshots: $(VENV)/installed ## take the pictures of the README from the running app
	$(RUN) -m workbench lab screenshots

$(VENV)/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11; give a newer one by PYTHON=python3.11" >&2; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "no virtual environments here: sudo apt-get install python3-venv" >&2; exit 1; }
	$(RUN) -m pip install --disable-pip-version-check --quiet -r requirements.txt
	@$(RUN) -c 'import cv2' || \
		{ echo "system libraries are missing: sudo apt-get install $$(xargs < packages.txt)" >&2; exit 1; }
	@touch $@
