PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint docs clean

.venv/made:
	$(PYTHON) -m venv .venv
	touch $@

.venv/installed: .venv/made pyproject.toml constraints.txt
	$(PIP) torch
	$(PIP) -e .
	touch $@

.venv/developed: .venv/installed
	$(PIP) -e ".[dev]"
	$(PIP) --no-deps einops spandrel  # wants torchvision, which has no build for every torch; tests do without
	touch $@

demo: .venv/installed
	$(BIN)/dgen examples/hello.dgen
	@echo "the pictures are in output/"

test: .venv/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m compileall -q src plugins tests tools
	$(BIN)/python -m pytest -n 2 --dist worksteal

docs: .venv/developed
	$(BIN)/python tools/make_docs.py

clean:
	rm -rf .venv output dist build
