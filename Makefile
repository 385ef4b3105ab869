# `make` lists the targets. Each may be run first, twice, and after any other; the first one does the set-up.
# PYTHON=python3.12 make test picks the interpreter of .venv; without it, an existing .venv is used as it is.

BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := .venv/ready
ASKED := $(PYTHON)
PYTHON ?= $(if $(shell $(BIN)/python -c 'print(1)' 2>/dev/null),$(BIN)/python,python3)
NOTEBOOKS :=
STUDY :=
NAME :=
URL :=

define CHECK_PYTHON
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 6))' || { echo "set-up stopped: $(PYTHON) does not run here; \
name a Python from 3.11 to 3.13, as in PYTHON=/path/to/python3.12 make book." >&2; exit 1; }
endef

.PHONY: help setup book test lab notebooks new-chapter data study bench lint format links colab-check pdf release repository clean FORCE
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

# An interpreter that was asked for by name and has another version than .venv makes the stamp out of date.
ifneq ($(ASKED),)
ifneq ($(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null),$(shell cat $(READY) 2>/dev/null))
$(READY): FORCE
endif
endif

$(READY): pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	@$(PYTHON) book/_tools/environment.py

setup: $(READY) ## make .venv and install the course into it (the other targets do it too)

book: $(READY) ## build the book into _build/html and check that every page is there
	@$(BIN)/python book/_tools/build.py

test: book data ## build the book, fetch the data, run all tests and every notebook, some side by side
	@$(BIN)/python -m pytest --nbval -n auto --dist loadfile || { echo "test: a test failed; the lines above name it." >&2; exit 1; }

lab: $(READY) ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab --notebook-dir=notebooks

notebooks: $(READY) data ## write the ledger, execute the notebooks in place (NOTEBOOKS="notebooks/07_….ipynb" for some)
	@$(BIN)/python book/_tools/ledger.py
	@$(BIN)/python book/_tools/architecture.py
	@$(BIN)/python book/_tools/notebooks.py $(NOTEBOOKS)

new-chapter: $(READY) ## begin a chapter: its notebook, with the form of the others, and its entry in _toc.yml (NAME=16_alexnet)
	@$(BIN)/python book/_tools/new_chapter.py '$(NAME)'

data: $(READY) ## fetch and verify MNIST and Fashion-MNIST
	@$(BIN)/python -m course_utils data --fetch || { echo "data: the lines above say which source failed and what to do by hand." >&2; exit 1; }

study: $(READY) data ## list the studies, or run one of them (STUDY=name)
	@$(BIN)/python -m course_utils study $(if $(STUDY),run $(STUDY),list)

bench: $(READY) data ## compare the training loop with d2l's and with the machine's own speed
	@$(BIN)/python benchmarks/bench.py

lint: $(READY) ## check style and types
	@$(BIN)/python -m ruff check . && $(BIN)/python -m ruff format --check . && $(BIN)/python -m mypy || { echo "lint: 'make format' mends most of these." >&2; exit 1; }

format: $(READY) ## write the style that lint checks
	@$(BIN)/python -m ruff check --fix . && $(BIN)/python -m ruff format .

links: $(READY) ## ask the web whether what the course links to is still there
	@$(BIN)/python book/_tools/links.py

colab-check: $(READY) data ## run the notebooks with Colab's packages, from empty folders (NOTEBOOKS="…" for some)
	@$(BIN)/python book/_tools/colab_check.py $(NOTEBOOKS)

pdf: book ## print the whole book into one file, _build/convolutional-networks-measured.pdf (needs Chromium)
	@$(BIN)/python book/_tools/pdf.py

release: book ## build the wheel and an archive of the book into dist, and print what remains to be done
	@$(BIN)/python book/_tools/release.py

repository: ## write the repository's address everywhere (URL=https://github.com/OWNER/NAME)
	@$(CHECK_PYTHON)
	@$(PYTHON) book/_tools/repository.py '$(URL)'

clean: ## remove what was built; .venv and the data stay
	@rm -rf _build .pytest_cache .mypy_cache .ruff_cache build src/*.egg-info
