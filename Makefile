# Thin by intent: each target prepares the environment, then hands over to Python.
# PYTHON=... chooses the interpreter; PORT=, BIND=, DEMO=0, DETACH=1, SCALEDASH_HOME=,
# DATABASE_URL= and REDIS_URL= reach `make up` through the environment (docs/operations.md).
SHELL := /bin/sh
VENV := .venv
RUN := $(VENV)/bin/python
FIND_PYTHON := for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done

.DEFAULT_GOAL := help
.PHONY: help up down test test-slow lint audit bench demo screenshots server developer

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

up: server ## Start ScaleDash; Ctrl-C stops it (DETACH=1 returns when it is ready)
	@exec $(RUN) manage.py up

down: server ## Stop what `make up DETACH=1` started
	@exec $(RUN) manage.py down

demo: server ## Load the demo study into the running ScaleDash
	@exec $(RUN) manage.py demo

test: developer ## Run the tests on all cores, in a real browser too
	@$(RUN) scripts/run_tests.py

test-slow: developer ## Run the tests marked slow: whole starts, crashes, faults
	@$(RUN) scripts/run_tests.py -m slow

lint: developer ## Check format, style, security, types, import contracts and migrations
	@$(RUN) scripts/run_lint.py

audit: developer ## Look the locked packages up in the list of known vulnerabilities
	@$(RUN) scripts/audit.py

bench: server ## Measure ingest, log(), reads, pages, disk, fits; PEERS=1: other trackers beside
	@exec $(RUN) -m benchmarks

screenshots: developer ## Photograph every page of the running ScaleDash into docs/screenshots
	@$(RUN) scripts/screenshots.py

server:
	@python=$$($(FIND_PYTHON)); [ -n "$$python" ] || { \
	echo "ScaleDash needs Python 3.11 or newer; install it, or name one: make PYTHON=/path/to/python3"; exit 1; }; \
	"$$python" scripts/bootstrap.py requirements.lock

developer:
	@python=$$($(FIND_PYTHON)); [ -n "$$python" ] || { \
	echo "ScaleDash needs Python 3.11 or newer; install it, or name one: make PYTHON=/path/to/python3"; exit 1; }; \
	"$$python" scripts/bootstrap.py requirements-dev.lock
