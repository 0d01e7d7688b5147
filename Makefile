# make book    set up, get the language model, build the book into _build/html
# make test    set up, then the whole suite: unit tests, the chapters' outputs, the build, the pages in a browser
# make serve   show the built book on http://127.0.0.1:8000 (another port: make serve PORT=8080)
# make record  run the chapters and keep their outputs as the reference (one of them: make record CHAPTER=training)
# make results make every record in results/ anew
# make bench   measure what a logit costs (benchmarks/engine.json); let nothing else run meanwhile
# make clean   remove what was built; .venv stays

PYTHON   ?= python3
PIP_ARGS ?=
PORT     ?= 8000
CHAPTER  ?=
VENV     ?= .venv

BIN   := $(VENV)/bin
STAMP := $(VENV)/.linrep-installed

.PHONY: help setup model book test serve record results bench clean
.DELETE_ON_ERROR:

help:
	@sed -n '/^$$/q; s/^# //p' Makefile

setup: $(STAMP)

# matplotlib builds its font cache at the first import and says so on stderr, where a chapter must not write.
$(STAMP): requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'linrep needs Python 3.11 or newer: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_ARGS) -r requirements.txt
	$(BIN)/python -m pip install $(PIP_ARGS) --no-deps -e .
	$(BIN)/python -c "import matplotlib.font_manager"
	@touch $@

# `models get` returns at once when the model is there.
model: setup
	$(BIN)/linrep models get smollm2-135m

book: setup model
	$(BIN)/jupyter-book build . -W --keep-going

# The page tests read the built book, so it is brought up to date first.
test: book
	$(BIN)/python -m pytest --nbval

serve: setup
	@test -f _build/html/index.html || { echo "There is no book yet: make book" >&2; exit 1; }
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

record: setup model
	$(BIN)/python tests/record.py $(CHAPTER)

results: setup model
	for name in $$($(BIN)/python -m linrep.experiments.catalogue); do $(BIN)/linrep run $$name || exit; done

bench: setup
	GOMP_SPINCOUNT=1000 $(BIN)/python benchmarks/engine.py

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
