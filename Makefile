# make demo            find, register, serve and query a model on drawn faces, in minutes
# make demo DATA=PATH  the same on your own: fer2013.csv or a folder of class folders
# make test            run the tests; `make test PYTEST_ARGS="-m 'not ray'"` leaves out what starts clusters
# make test-slow       run those that take minutes each: heads and databases that die, exact pauses on a cluster
# make check           formatting, lint, types, room order
# make docs            build the documentation: site/index.html
# make lock            lock the versions anew; needs uv

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help env demo test test-slow check docs lock

help:
	@sed -n 's/^# //p' Makefile

# Made anew when the locked versions change; `fer-ray` runs the checkout itself.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

env: $(VENV)/.installed

demo: env
	$(BIN)/fer-ray demo $(if $(DATA),--data "$(DATA)")

test: env
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: env
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

lock:
	uv pip compile --universal --no-emit-index-url --no-header --python-version 3.11 \
	  --extra cpu --extra clouds --extra dashboards --extra postgresql --extra mlflow --extra wandb --extra dev pyproject.toml -o requirements.lock
