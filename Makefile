PYTHON ?= python3
BIN := .venv/bin

# Tests that only calculate: no training, no processes that train.
QUICK := tests/scaling tests/curves/test_scaling_law.py tests/curves/test_pareto_front.py tests/report tests/search/inference \
	tests/networks/test_yaml_spec.py tests/test_runs.py tests/cli/test_lists.py tests/execution/test_plan.py \
	tests/growth/test_ladder.py tests/data/test_cache.py tests/docs/test_cli_page.py

# Files are not taken apart, for their tests share searches; tests/conftest.py says which begin.
SPREAD := -n auto --dist loadfile --no-loadscope-reorder

# Tests start many processes; without kept bytecode each of them compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: search check test test-all pytest bench lint style types

search: .venv/installed
	$(BIN)/scaler search --base effnet-b0 --budget 2x

check: lint
	$(BIN)/pytest -q $(SPREAD) $(QUICK)

# Types are checked while tests wait for servers, clusters and processes that died.
test: style
	$(MAKE) --no-print-directory --jobs 2 types pytest

pytest: .venv/ready
	$(BIN)/pytest -q $(SPREAD)

test-all: lint
	$(BIN)/pytest -q $(SPREAD) -m ""

bench: .venv/ready
	$(BIN)/python -m tests.benchmarks.speed

lint: style types

style: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/ready
	$(BIN)/mypy

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/ready: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[inspect,onnx,postgres,ray,test,dev]'
	touch $@
