# Needs only make and Python 3.11 or newer; `make test` a redis-server and chromium on PATH as well. `make` alone lists what there is.

# The Python to build with: `make demo PYTHON=python3.12`. Left out, the first that will do.
PYTHON ?=
CANDIDATES = $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python)

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo check test clients wheels fmt docs fuzz bench clean

# In one pip command: apart, a provider would look for the core on the package index.
PACKAGES = ".[cli,testing]" $(patsubst %/pyproject.toml,./%,$(wildcard providers/*/pyproject.toml))
PIP = python -m pip --disable-pip-version-check --quiet

# Folders are in the list so that a deleted file counts as a change too.
SOURCES = $(shell find pyproject.toml hatch_build.py README.md LICENSE kinetic_auth_core \
	$(wildcard providers/*/pyproject.toml providers/*/README.md providers/*/LICENSE providers/*/kinetic_auth_*) \
	-name __pycache__ -prune -o -name _published.py -o -print)

# pyenv's own commands refuse a version that is not switched on; behind them on PATH, tox finds the real ones.
PYENV_PATH = $(shell root=$$(pyenv root 2>/dev/null) && printf ':%s' "$$root"/versions/3.1[123].*/bin)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

demo: .venv/.installed ## install into .venv, then log in both ways against a local emulator
	@.venv/bin/kinetic-auth demo

check: .tools/.installed ## lint, types and the fast tests, in under a minute: before each commit
	@PATH="$$PATH$(PYENV_PATH)" .tools/bin/tox run-parallel --parallel 2 --parallel-no-spinner -q -e lint,types,fast

# First what needs one core each, two at a time; then the tests, which use both.
test: .tools/.installed ## every check: lint, types, docs, packages, all tests, and the tests on each Python found
	@mkdir -p .tox
	@set -o pipefail; export PATH="$$PATH$(PYENV_PATH)" NO_COLOR=1; \
	{ .tools/bin/tox run -q -e dist \
		&& .tools/bin/tox run-parallel --parallel 2 --parallel-no-spinner -q -e lint,types,docs,audit \
		&& .tools/bin/tox run -e full,py312,py313,lowest; } 2>&1 | tee .tox/test.log
	@echo; grep -E '^=+ .*[0-9]+ passed.* in [0-9.]+s.* =+$$' .tox/test.log | tail -n 1 | grep . \
		|| { echo "make test: no tests ran; one of Python 3.11, 3.12, 3.13 must be on PATH" >&2; exit 1; }

# Their versions are pinned: a new one should arrive by a commit. sf needs a newer Node.js than most systems have.
SF_CLI = @salesforce/cli@2.146.3
NODE = node-$(shell uname -s | tr A-Z a-z)-$(shell uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
NODE_CLIENTS = jsforce@3.10.16 @salesforce/core@8.32.6
# tap-salesforce and Airflow get environments of their own, made by the tests with uv.
PYTHON_CLIENTS = aiosalesforce authlib httpx kinetic-core simple-salesforce uv
clients: .clients/.installed ## test with the clients of others (needs npm), and write what works into docs/
	@CLIENT_TABLE=write NODE_PATH="$(CURDIR)/.clients/node_modules" \
	PATH="$(CURDIR)/.clients/node_modules/$(NODE)/bin:$(CURDIR)/.clients/node_modules/.bin:$(CURDIR)/.clients/bin:$$PATH" \
		.clients/bin/python -m pytest -p no:cacheprovider tests/clients \
		tests/testing/emulator/test_python_clients.py tests/testing/emulator/test_programs.py

wheels: .venv/bin/python ## wheels of all packages and of what they depend on, into dist/
	@.venv/bin/$(PIP) wheel --wheel-dir dist $(PACKAGES) ".[all]"
	@echo 'installable by name: pip install --no-index --find-links dist "kinetic-auth-core[cli,jwt-bearer]"'

fmt: .tools/.installed ## format the code and mend what can be mended by itself
	@.tools/bin/tox run -q -e fmt

docs: .tools/.installed ## build the documentation into docs/_build/html
	@.tools/bin/tox run -q -e docs
	@echo "docs/_build/html/index.html"

# Its own venv: only some Pythons have a wheel of atheris, and from source it wants clang's libFuzzer.
FUZZ_SECONDS ?= 60
fuzz: .fuzz/.installed ## fuzz the parsers for FUZZ_SECONDS=60 altogether; what is found is in .fuzz/findings
	@.fuzz/bin/python fuzz/run.py $(FUZZ_SECONDS)

# What it costs, beside peers; valgrind counts instructions and redis-server serves the fleet, where they are on PATH.
BENCH = azure-identity botocore google-auth keystoneauth1 kinetic-core simple-salesforce
bench: .bench/.installed ## measure beside other libraries (four minutes), and write the table and the plot into docs/
	@.bench/bin/python benchmarks/compare.py

clean: ## remove what the other targets made
	rm -rf .venv .tools .fuzz .clients .bench .tox .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist docs/_build

.venv/.installed: $(SOURCES) | .venv/bin/python
	@echo "installing the packages into .venv ..."
	@.venv/bin/$(PIP) install $(PACKAGES)
	@touch $@

.tools/.installed: | .tools/bin/python
	@echo "installing tox into .tools ..."
	@.tools/bin/$(PIP) install "tox>=4.22,<5" "tox-uv>=1.25"
	@touch $@

.fuzz/.installed: $(SOURCES) | .fuzz/bin/python
	@.fuzz/bin/$(PIP) install --only-binary=:all: atheris || { \
		echo "make: no wheel of atheris for $$(.fuzz/bin/python --version) on this machine." >&2; \
		echo "Name another Python: make clean fuzz PYTHON=python3.12" >&2; exit 1; }
	@echo "installing the packages into .fuzz ..."
	@.fuzz/bin/$(PIP) install $(PACKAGES)
	@touch $@

.bench/.installed: $(SOURCES) | .bench/bin/python
	@echo "installing the packages and their peers into .bench ..."
	@.bench/bin/$(PIP) install $(PACKAGES) $(BENCH)
	@touch $@

.clients/.installed: $(SOURCES) | .clients/bin/python
	@echo "installing sf and the packages into .clients ..."
	@npm install --prefix .clients --silent --no-audit --no-fund $(SF_CLI) $(NODE_CLIENTS) $(NODE)@22
	@.clients/bin/$(PIP) install $(PACKAGES) pytest hypothesis $(PYTHON_CLIENTS)
	@touch $@

%/bin/python:
	@for python in $(CANDIDATES); do \
		"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		exec "$$python" -m venv --clear $*; \
	done; \
	echo "make: no Python 3.11 or newer with its venv module. Tried:" >&2; \
	for python in $(CANDIDATES); do \
		echo "  $$python: $$("$$python" -c 'import sys; print(sys.version.split()[0]); import venv, ensurepip' 2>&1 \
			| tail -n 2 | tr '\n' ' ')" >&2; \
	done; \
	echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: make demo PYTHON=python3.12" >&2; \
	exit 1
