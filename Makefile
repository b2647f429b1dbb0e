# Everything a clone needs is Python 3.11 or later and make; the rest goes into .venv, made on first use.

SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Exact versions of the image. The tests run with the same.
LOCKS := requirements.lock deploy/sandbox/requirements.lock deploy/build.lock
DEMO_STAMP := $(VENV)/.installed-demo
MUTANTS_STAMP := $(VENV)/.installed-mutants

# The first that is 3.11 or later. Or choose: make PYTHON=/path/to/python3 test
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
PROBE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach candidate,$(CANDIDATES),$(shell $(candidate) -c '$(PROBE)' 2>/dev/null && echo $(candidate))))

.DEFAULT_GOAL := help
.PHONY: help demo up test test-unit test-stores clients mutants fmt check weather model soak netfaults bench image-test docs pictures openapi release-api dashboards image wheel sbom lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO_STAMP) ## Turn a photo into a video through everything there is, in 20 seconds
	@$(BIN)/python -m service.cli demo

up: $(DEMO_STAMP) ## Run everything on this machine until Ctrl-C
	@$(BIN)/python -m service.cli up

test: $(STAMP) ## Run all tests; make test ARGS="-k cancel -x" runs some
	$(BIN)/python -m pytest -n 4 --dist loadfile $(ARGS)

test-unit: $(STAMP) ## Run the tests that need no Redis, no node and no Prometheus, in half a minute
	$(BIN)/python -m pytest -q -n 2 -m "not (redis or slow or node or prometheus)" tests/unit tests/guards $(ARGS)

SERVER ?= redis-server
test-stores: $(STAMP) ## Run the tests of Lua, users and memory on another server; SERVER=/path/to/redis-server
	@$(SERVER) --version
	TEST_REDIS_SERVER=$(SERVER) $(BIN)/python -m pytest -q -n 2 --dist loadfile tests/integration/store \
		tests/e2e/test_redis_users.py tests/e2e/test_full_redis.py $(ARGS)

clients: $(STAMP) ## Run generated clients and programs for fal, installed into build/clients; needs node and npm
	$(BIN)/python -m pytest -q tests/clients $(ARGS)

mutants: $(MUTANTS_STAMP) ## List small changes of the code that no unit test notices: MODULE=service/domain/pricing.py
	$(BIN)/python -m tests.support.mutants.run $(MODULE) $(if $(ARGS),--tests $(ARGS))

fmt: $(STAMP) ## Format the code, and fix what the linter can fix
	$(BIN)/python -m ruff format
	$(BIN)/python -m ruff check --fix

check: $(STAMP) ## Lint, format, types, the arrows between modules, and the guards
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/guards

weather: $(STAMP) ## Run five minutes of faults of fal, Redis, workers and clocks; SEED=N repeats a run
	$(BIN)/python -m tests.support.chaos.run $(if $(SEED),--seed $(SEED))

soak: $(STAMP) ## Run a steady load for MINUTES=30; memory, descriptors and keys must not grow; SEED=N repeats a run
	$(BIN)/python -m tests.support.soak.run $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

netfaults: $(STAMP) ## Run half an hour of network faults on each link between two hosts; SEED=N repeats a run
	$(BIN)/python -m tests.support.netfaults.run $(if $(SEED),--seed $(SEED))

model: $(STAMP) ## Explore the model of the state machine; print its promises and sizes
	$(BIN)/python -m tests.model

image-test: $(STAMP) ## Build the images, and run the containers of deploy/compose.yaml; needs root, podman and buildah
	$(BIN)/python -m pytest -q tests/image $(ARGS)

bench: $(STAMP) ## Measure, print the figures, write bench.json and bench-raw.json
	$(BIN)/python -m tests.bench.run

docs: $(STAMP) ## Write docs/reference anew
	$(BIN)/python -m reference

openapi: $(STAMP) ## Write openapi/openapi.json anew
	$(BIN)/python -m service.api.openapi.export openapi/openapi.json

release-api: $(STAMP) ## At a release: take the API document as the one that later releases stay compatible with
	$(BIN)/python -m tests.support.api_compatibility

dashboards: $(STAMP) ## Write Grafana's dashboards and Prometheus' rules anew; RUNBOOK=URL is the page that alerts link to
	$(BIN)/python -m monitoring $(if $(RUNBOOK),--runbook $(RUNBOOK))

image: ## Build the image with Docker or Podman, as seedance-gateway:VERSION
	@engine=$$(command -v docker || command -v podman) || { echo "This needs docker or podman." >&2; exit 1; }; \
	$$engine build --target gateway --build-arg COMMIT=$$(git rev-parse --short=12 HEAD) \
		--tag seedance-gateway:$$(awk -F '"' '/^version = / { print $$2; exit }' pyproject.toml) .

wheel: $(STAMP) ## Build wheel and source archive into dist; the same commit gives the same bytes
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build -d dist
	sha256sum dist/*

sbom: $(STAMP) ## Write the bill of materials (CycloneDX) of each image into build/sbom
	$(BIN)/python -m sbom build/sbom

LOCK := --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(STAMP) ## Choose versions anew: requirements.lock, the sandbox's and the build's
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools
	$(BIN)/pip-compile $(LOCK) --upgrade --extra otel --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK) --upgrade --extra sandbox --output-file deploy/sandbox/requirements.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK) --upgrade --only-build-deps --build-deps-for wheel --output-file deploy/build.lock pyproject.toml
	@for lock in requirements.lock deploy/sandbox/requirements.lock deploy/build.lock; do \
		sed -i '1i # Exact versions and hashes for the image. Made by `make lock`; do not edit.' $$lock; done

pictures: $(STAMP) ## Write a picture of each page of the console to build/pictures, and renew those of docs/images
	mkdir -p build/pictures
	CONSOLE_SHOTS=build/pictures $(BIN)/python -m pytest -q tests/e2e/console/test_accessibility.py
	for picture in docs/images/*.png; do cp "build/pictures/$$(basename "$$picture")" docs/images/; done

clean: ## Remove what these targets have made, the videos of the demo included
	test ! -d build/image-test || $(PYTHON) -m tests.image.engine
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist bench.json bench-raw.json demo-output
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# make demo and make up install a third of what the tests need.
$(DEMO_STAMP): pyproject.toml $(LOCKS)
	@$(call install,demo)
	@touch $@

$(STAMP): pyproject.toml $(LOCKS)
	@$(call install,dev)
	@touch $@ $(DEMO_STAMP)

$(MUTANTS_STAMP): $(STAMP)
	@$(call install,mutants)
	@touch $@

define install
set -eo pipefail; \
$(or $(PYTHON),false) -c '$(PROBE)' 2>/dev/null || { \
	echo "This needs Python 3.11 or later with its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; \
	echo "If it is installed elsewhere: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; \
	exit 1; }; \
echo "Installing into $(VENV), once; this takes a minute or more ..." >&2; \
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
sed -nE 's/^([A-Za-z0-9._-]+==[^ ;]+).*/\1/p' $(LOCKS) | sort -u > $(VENV)/constraints.txt; \
$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --constraint $(VENV)/constraints.txt \
	--editable '.[$(1)]' \
	| awk '/^Collecting/ { n++; printf "\r\033[K%d packages found: %s", n, $$2 } \
		/^Installing collected/ { printf "\r\033[KInstalling %d packages ...", n } END { print "" }' >&2
endef
