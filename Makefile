# One door to everything: `make` lists the targets.
# Needs Python 3.11 to 3.13, make and a package registry; everything else is installed into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SCALE  ?= 1
SEED   ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup lock demo up down status test lint format unit bench bench-compare realdata compose-smoke drill bundle test-login test-cluster test-failures test-observability test-spark kubernetes-render sbom audit-deps clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The lock is the one list of versions and hashes; uv itself is installed from it first.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11, 3.12 or 3.13 is needed, this is %s: make PYTHON=python3.11 …" % sys.version.split()[0])'
	@echo "→ 1/3 creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: install your system's venv package (Debian: python3-venv)"; exit 1; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.txt
	@echo "→ 2/3 installing the locked packages, hashes checked (about 1 GB)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.txt
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@echo "→ 3/3 installing CityLedger"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/.installed ## Install everything into .venv (done by the other targets)

lock: ## Resolve pyproject.toml into requirements.lock (after changing dependencies)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.lock

demo: setup ## Start the embedded stack and run a day of the demo city through it
	@$(BIN)/cityledger demo --scale $(SCALE) --seed $(SEED)

up: setup ## Start the embedded stack
	@$(BIN)/cityledger up

down: ## Stop the embedded stack
	@$(BIN)/cityledger down

status: ## Show the stack's parts and datasets × partitions × stages
	@$(BIN)/cityledger status

lint: setup ## Style, types, import boundaries, SQL, contracts, compose file
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project
	$(BIN)/cityledger contract lint
	$(BIN)/cityledger contract lint tests/realdata/contracts
	$(BIN)/cityledger audit lint
	$(BIN)/docker-compose --env-file infra/docker/example.env config --quiet
	$(BIN)/python -m infra.supply_chain.secret_scan

format: setup ## Put style right where a tool can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/sqlfluff fix --disable-progress-bar dbt_project

# Three at a time on CI's two cores: a third of the time a test waits for a server that starts
# (603 s; 720 s two at a time; files in the order of their folders took longer both ways).
test: lint ## Everything that CI checks: lint, then all tests on real local servers
	$(BIN)/pytest -m "not realdata and not benchmark and not drill and not login and not failures and not observed and not cluster and not spark" -n 3 --dist loadfile

test-login: setup ## People log in to a real Airflow server: its accounts, an OpenID provider, five roles
	$(BIN)/pytest -m login tests/security/login

sbom: setup ## Bill of materials (CycloneDX) of what is installed, from the lock: dist/cityledger.cdx.json
	@mkdir -p dist
	$(BIN)/python -m infra.supply_chain.sbom > dist/cityledger.cdx.json

audit-deps: setup ## Known vulnerabilities of the lock: asks a service, or ADVISORIES=FILE (OSV's export) offline
ifdef ADVISORIES
	$(BIN)/python -m infra.supply_chain.advisories "$(ADVISORIES)"
else
	$(BIN)/pip-audit --requirement requirements.lock --require-hashes --disable-pip --strict
endif

unit: setup ## The quick tests only (no servers)
	$(BIN)/pytest tests/unit tests/conventions

drill: setup ## Lose a whole installation with Airflow and restore it from its backup (10 minutes)
	$(BIN)/pytest -m drill tests/operations

realdata: setup ## Run the real extracts beside the project (../shared/realdata) through the DAGs
	$(BIN)/pytest -m realdata tests/realdata

compose-smoke: setup ## The demo city through the containers, equal to an embedded run? (Docker engine, 8 GiB)
	$(BIN)/python -m tests.compose --scale 0.1

bench: setup ## Measure everything (needs 40 GB of disk); limits kept or missed, docs/performance.md
	$(BIN)/python -m tests.benchmarks

bench-compare: setup ## The same verdicts by Great Expectations and datacontract-cli: speed and agreement
	$(BIN)/python -m tests.benchmarks.bench_suites --install --page

test-cluster: setup ## A day on Celery workers while workers, scheduler and database are killed
	$(BIN)/pytest -m cluster tests/cluster

# Apache Spark's servers (400 MB) have an environment of their own; the project needs the client only.
.venv-spark/.installed:
	@$(PYTHON) -m venv .venv-spark
	@.venv-spark/bin/pip install --quiet --disable-pip-version-check "pyspark==4.2.*"
	@touch $@

test-spark: setup .venv-spark/.installed ## The models on Sail and on Apache Spark with two workers (Java 17, /dev/fuse)
	SPARK_HOME=$$(echo $(CURDIR)/.venv-spark/lib/python3*/site-packages/pyspark) $(BIN)/pytest -m spark tests/spark

test-failures: setup ## Disks that fill up, services away for minutes, clocks that jump, on real processes
	$(BIN)/pytest -m failures tests/failures

test-observability: setup ## A partition through an Airflow that traces: one trace, metrics, logs, a content doctor
	$(BIN)/pytest -m observed tests/observability

# kubectl and helm are yours; the chart: a folder or archive of apache-airflow/airflow.
kubernetes-render: setup ## Render the manifests (and the chart, CHART=…) and check them by the schema
	@rendered=$$(mktemp) && trap 'rm -f "$$rendered"' EXIT && \
	  kubectl kustomize infra/kubernetes/example > "$$rendered" && \
	  $(if $(CHART),{ echo ---; helm template airflow $(CHART) -n cityledger -f infra/helm/values.yaml; } >> "$$rendered" &&) \
	  grep -c '^kind: ' "$$rendered" && \
	  $(BIN)/kubernetes-validate -k 1.35 --strict --quiet --no-warn "$$rendered"

bundle: setup ## Make dist/cityledger-….tar: installs and runs where no registry can be reached
	@$(BIN)/python infra/bundle/make_bundle.py

clean: ## Stop the stack and delete .venv and caches (.cityledger with your data stays)
	@[ ! -x $(BIN)/cityledger ] || $(BIN)/cityledger down
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
