PYTHON ?= python3
BIN := .venv/bin

.PHONY: search test test-all bench lint

search: .venv/ready
	$(BIN)/scaler search --base effnet-b0 --budget 2x

test: lint
	$(BIN)/pytest -q -n auto --dist loadfile

test-all: lint
	$(BIN)/pytest -q -n auto --dist loadfile -m ""

bench: .venv/ready
	$(BIN)/python -m tests.benchmarks.training_speed

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test,dev,ray,postgres]'
	touch $@
