# make demo            find, register, serve and query a model on drawn faces, in minutes
# make demo DATA=PATH  the same on your own: fer2013.csv or a folder of class folders
# make test            run the tests: test-quick, then test-ray
# make test-quick      run those that start no Ray cluster, several at a time
# make test-ray        run those that start one, one after another
# make test-slow       run those that take minutes each: heads and databases that die, exact pauses on a cluster
# make check           formatting, lint, types, room order
# make docs            build the documentation: site/index.html
# make lock            lock the versions anew; needs uv

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help env demo test test-quick test-ray test-slow check docs lock

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

test: test-quick test-ray

# More at a time would need gigabytes each: they import TensorFlow.
test-quick: env
	$(BIN)/python -m pytest -m "not slow and not ray" -n auto --maxprocesses 4 $(PYTEST_ARGS)

# They have all cores, and what a machine has once: HAProxy, ports of Ray's.
test-ray: env
	$(BIN)/python -m pytest -m "not slow and ray" $(PYTEST_ARGS)

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
