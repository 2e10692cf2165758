# Dragoman. `make help` lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?=
CONFIG ?= config/dragoman.yaml
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help install run test check bench matrix lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.installed ## make .venv from the lock

run: .venv/.installed ## serve on 127.0.0.1:8080 (PORT=... and CONFIG=... override)
	@exec $(BIN)/dragoman serve --config $(CONFIG) $(if $(PORT),--port $(PORT))

test: .venv/.test-installed ## run all tests
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check: .venv/.check-installed ## format, lint, types, imports, architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/test_architecture.py

bench: .venv/.installed ## measure beside the bare relay (ARGS="--quick" for a short run)
	@$(BIN)/python -m tests.bench $(ARGS)

matrix: .venv/.installed ## write docs/matrix.md: what each pair of dialects carries
	@$(BIN)/dragoman matrix --write docs/matrix.md

lock: ## renew the lock files (needs uv)
	@uv pip compile pyproject.toml $(LOCK) -o requirements.lock
	@uv pip compile pyproject.toml --group test -c requirements.lock $(LOCK) -o requirements-test.lock
	@uv pip compile --group check -c requirements-test.lock $(LOCK) -o requirements-check.lock
	@uv pip compile --group build $(LOCK) -o requirements-build.lock
LOCK := --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet

clean: ## remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

.venv/.installed: requirements.lock requirements-build.lock pyproject.toml
	@echo "Installing into .venv (about half a minute, once) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r requirements-build.lock -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.test-installed: .venv/.installed requirements-test.lock
	@$(PIP) --require-hashes -r requirements-test.lock
	@touch $@

.venv/.check-installed: .venv/.test-installed requirements-check.lock
	@$(PIP) --require-hashes -r requirements-check.lock
	@touch $@
