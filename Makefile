# `make demo` runs the main job, `make test` everything that can be checked; both set up what they need.

.DEFAULT_GOAL := help
.PHONY: help venv model broker demo test test-all test-tools thorough-tools lint types imports hygiene protos unit suite bench booted deb lock

BIN := .venv/bin
MODELS := .cache/models
MODEL := $(MODELS)/SmolLM2-135M-Instruct.Q4_1.gguf

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: .venv/.made ## .venv with the commands homebred and homebred-fleet in it

.venv/.made: requirements.lock pyproject.toml
	@packaging/tools/make_venv.sh

model: $(MODEL)

$(MODEL): .venv/.made packaging/locks/embedded-model.lock
	@$(BIN)/python packaging/tools/fetch_model.py $(MODELS) >/dev/null && touch $(MODEL)

# Thousands of short-lived processes are started by tests: none should compile the packages anew.
unexport PYTHONDONTWRITEBYTECODE

broker:
	@packaging/tools/install_broker.sh

EXAMPLES := --hypothesis-profile=sample

PROCESSES := 2
BESIDE := --numprocesses $(PROCESSES) --dist loadgroup --max-worker-restart 0
CHECKS := lint types imports hygiene protos unit

demo: .venv/.made $(MODEL) broker ## the whole story on this machine, under four minutes
	@$(BIN)/homebred demo --model $(MODEL) --apps docs/examples

test: .venv/.made $(MODEL) ## lint, types, imports, every test
	@$(MAKE) --no-print-directory --jobs=$(PROCESSES) --output-sync=target $(CHECKS)
	@$(MAKE) --no-print-directory suite

lint: .venv/.made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.made
	$(BIN)/mypy

imports: .venv/.made
	$(BIN)/lint-imports --no-timings 2>/dev/null || $(BIN)/lint-imports

hygiene: .venv/.made
	$(BIN)/deptry .
	$(BIN)/vulture

protos: .venv/.made
	packaging/tools/generate_protos.sh --check

unit: .venv/.made ## the unit suite alone, with a fifth of the examples of each property; test-all takes all
	$(BIN)/pytest -q $(EXAMPLES) tests/unit tests/architecture

suite: .venv/.made $(MODEL) test-tools
	$(BIN)/pytest -q $(BESIDE) -m "not alone and not slow" --ignore tests/unit --ignore tests/architecture
	$(BIN)/pytest -q -m alone --ignore tests/unit --ignore tests/architecture

test-tools:
	@packaging/tools/test_tools.sh

thorough-tools: .venv/.made
	@packaging/tools/test_tools.sh --thorough

test-all: .venv/.made $(MODEL) thorough-tools ## everything, thoroughly: hours on two cores
	@$(MAKE) --no-print-directory --jobs=$(PROCESSES) --output-sync=target EXAMPLES= $(CHECKS)
	$(BIN)/pytest -q $(BESIDE) -m "not alone and not slow and not thorough" --ignore tests/unit --ignore tests/architecture
	$(BIN)/pytest -q -s --thorough -m "alone or slow or thorough" --ignore tests/unit --ignore tests/architecture

bench: .venv/.made $(MODEL) ## figures against the targets, into bench.jsonl
	$(BIN)/python -m tests.bench --model $(MODEL)

deb: .venv/.made ## dist/homebred_VERSION_ARCH.deb; ARCH=arm64 for a device of another kind
	@$(BIN)/python packaging/tools/build_deb.py $(if $(ARCH),--arch $(ARCH))

booted: .venv/.made ## the package in a machine that systemd runs; part of `make test-all` (needs root)
	$(BIN)/pytest -q -s --thorough -m booted tests/scenario

lock: ## resolves requirements.lock and packaging/locks/*.lock of Python packages anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra daemon --extra fleet --extra postgresql \
	    --extra llamacpp --group dev pyproject.toml -o requirements.lock --quiet
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra daemon --extra llamacpp \
	    --constraint requirements.lock pyproject.toml -o packaging/locks/device.lock --quiet
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra daemon --extra ner \
	    --constraint requirements.lock pyproject.toml -o packaging/locks/ner.lock --quiet
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra fleet --extra postgresql \
	    --constraint requirements.lock pyproject.toml -o packaging/locks/fleet.lock --quiet
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra otel \
	    --constraint requirements.lock pyproject.toml -o packaging/locks/otel.lock --quiet
