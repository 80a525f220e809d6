# Every target finds (or makes, on first use) the environment it needs in a cache outside the checkout.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
ENVIRONMENTS := $(PYTHON) deploy/local/environments.py
GATEWAY_PYTHON = $$($(ENVIRONMENTS) gateway)
TOOLS_PYTHON = $$($(ENVIRONMENTS) tools)
ENGINE_PYTHON = $$($(ENVIRONMENTS) engine)

# What the engines' environment needs of the system is named before anything is downloaded.
THEN_ENGINE = $(if $(filter simulator,$(TIERFLOW_ENGINE))$(TIERFLOW_ENGINE_PYTHON),,--then engine)

IMAGES ?= gateway vllm-cpu device
PRESET ?= small
QUICK ?= 0
ARGS ?=
ENGINE ?= simulator
SECONDS ?=
MINUTES ?= 5
SBOM ?= build/sbom
ADVISORIES ?=
SEED ?=
Q ?= Add 417 and 325 digit by digit.

.PHONY: help up down status logs settings device ask test test-examples test-properties test-clients test-models test-cluster test-containers lint docs bench bench-speculation bench-tiers \
  bench-capacity bench-collective bench-keys bench-poison bench-rounds chaos fuzz soak load family specialists images chart locks sbom audit \
  compose-secrets clean

help: ## list the targets and the variables they take
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 20
	@$(PYTHON) -m deploy.local.settings

up: ## set everything up and serve: edge pool, cloud pool, gateway
	@gateway=$$($(ENVIRONMENTS) gateway $(THEN_ENGINE)); exec "$$gateway" -m tierflow up

down: ## stop what `make up` started
	@gateway=$(GATEWAY_PYTHON); exec "$$gateway" -m tierflow down

status: ## what is running: parts, addresses, health, since when, where the logs are
	@gateway=$(GATEWAY_PYTHON); exec "$$gateway" -m tierflow status $(ARGS)

logs: ## what the parts have logged; ARGS="gateway --follow"
	@gateway=$(GATEWAY_PYTHON); exec "$$gateway" -m tierflow logs $(ARGS)

settings: ## every setting: value, where it comes from, default, unit, meaning; ARGS=--yaml
	@gateway=$(GATEWAY_PYTHON); exec "$$gateway" -m tierflow settings $(ARGS)

device: ## run a device agent against `make up`: drafts with rill-device, its API on port 8090
	@gateway=$(GATEWAY_PYTHON); exec "$$gateway" -m tierflow device $(ARGS)

# Neither make nor the shell reads the question: it goes as it was typed.
ask: export TIERFLOW_QUESTION := $(value Q)
ask: ## ask a question and see who wrote each token; Q="Add 417 and 325 digit by digit."
	@gateway=$(GATEWAY_PYTHON); "$$gateway" -m tierflow ask $(ARGS) -- "$$TIERFLOW_QUESTION"

test: ## run the tests; ARGS="-k words" hands arguments to pytest
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_ENGINE_PYTHON="$$engine" "$$gateway" -m tests $(ARGS)

test-properties: ## look for inputs that break a property, other ones each time; ARGS="-k words"
	@gateway=$(GATEWAY_PYTHON); "$$gateway" -m pytest -m hypothesis --hypothesis-profile explore tests $(ARGS)

test-examples: ## play every example of README and docs before real engines; ARGS="-k pages"
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_EXAMPLE_TESTS=1 TIERFLOW_ENGINE_PYTHON="$$engine" "$$gateway" -m pytest -v tests/examples $(ARGS)

test-clients: ## ask by a dozen real clients, at engine, gateway and device agent; ARGS="-k anthropic"
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); tools=$(TOOLS_PYTHON); \
	  PATH="$$(dirname "$$tools"):$$PATH" TIERFLOW_ENGINE_PYTHON="$$engine" \
	  "$$gateway" -m tests.clients $(ARGS)

test-models: ## run the whole stack on tiny models of other architectures: Qwen3 and GPT-2, by hub ids
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_MODEL_TESTS=1 TIERFLOW_ENGINE_PYTHON="$$engine" "$$gateway" -m pytest tests/architectures $(ARGS)

test-cluster: ## install into the cluster that KUBECONFIG points to (such as kind) and test it there
	@gateway=$(GATEWAY_PYTHON); TIERFLOW_CLUSTER_TESTS=1 "$$gateway" -m pytest tests/e2e $(ARGS)

lint: ## ruff, mypy strict, import contracts
	@gateway=$(GATEWAY_PYTHON); bin=$$(dirname "$$gateway"); \
	  "$$bin/ruff" check . && "$$bin/ruff" format --check . && \
	  "$$bin/mypy" && "$$bin/lint-imports"

docs: ## write the generated pages: settings, metrics, errors, routes in docs/
	@gateway=$(GATEWAY_PYTHON); "$$gateway" -m deploy.reference

bench: ## measure the gateway's overhead and the family's quality; QUICK=1 takes 5 minutes at most
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_ENGINE_PYTHON="$$engine" QUICK=$(QUICK) "$$gateway" -m loadtest.bench

bench-speculation: ## measure drafts from a device against server-only streaming; QUICK=1 is short
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_ENGINE_PYTHON="$$engine" QUICK=$(QUICK) "$$gateway" -m loadtest.speculation

bench-tiers: ## measure device, edge and cloud together, and what drafts give else; ARGS="--only tiers"
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_ENGINE_PYTHON="$$engine" QUICK=$(QUICK) "$$gateway" -m loadtest.tiers $(ARGS)

bench-capacity: ## measure one engine under load, with devices that draft and without; QUICK=1 is short
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_ENGINE_PYTHON="$$engine" QUICK=$(QUICK) "$$gateway" -m loadtest.capacity

bench-collective: ## measure devices that answer together, and the cascade; QUICK=1 is short
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_ENGINE_PYTHON="$$engine" QUICK=$(QUICK) "$$gateway" -m loadtest.collective

bench-poison: ## send bodies that are made to hurt: stalls, memory, and 50 of them in 512 MiB; QUICK=1
	@gateway=$(GATEWAY_PYTHON); QUICK=$(QUICK) "$$gateway" -m loadtest.poison

bench-rounds: ## measure rounds of drafts at a stock engine, and what is chosen; QUICK=1 is short
	@gateway=$(GATEWAY_PYTHON); engine=$(ENGINE_PYTHON); \
	  TIERFLOW_ENGINE_PYTHON="$$engine" QUICK=$(QUICK) "$$gateway" -m loadtest.rounds

bench-keys: ## measure what keys and quotas add to a request; QUICK=1 is short
	@gateway=$(GATEWAY_PYTHON); QUICK=$(QUICK) "$$gateway" -m loadtest.keys

chaos: ## break everything once under load and check every answer; QUICK=1; ENGINE=vllm: real engines
	@gateway=$(GATEWAY_PYTHON); engine=; \
	  if [ "$(ENGINE)" = vllm ]; then engine=$(ENGINE_PYTHON); fi; \
	  TIERFLOW_ENGINE_PYTHON="$$engine" QUICK=$(QUICK) "$$gateway" -m loadtest.chaos --engine $(ENGINE)

fuzz: ## damaged and hostile inputs for every parser and a real gateway; MINUTES=5, SEED
	@gateway=$(GATEWAY_PYTHON); \
	  "$$gateway" -m tests.fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

soak: ## the same load for an hour, or SECONDS=600: memory and descriptors must not grow; QUICK=1
	@gateway=$(GATEWAY_PYTHON); \
	  QUICK=$(QUICK) "$$gateway" -m loadtest.soak $(if $(SECONDS),--seconds $(SECONDS))

load: ## run locust headless for a minute against `make up`
	@gateway=$(GATEWAY_PYTHON); "$$gateway" -m tierflow load

family: ## train, export and evaluate the model family; PRESET=small (two cores) or base (one GPU)
	@engine=$(ENGINE_PYTHON); family="$$engine -m services.model_family"; \
	  $$family train --preset $(PRESET) && $$family export --preset $(PRESET) && \
	  $$family evaluate --write-card

specialists: ## fine-tune the specialists of the shipped family, 10 minutes each, and evaluate them
	@engine=$(ENGINE_PYTHON); family="$$engine -m services.model_family"; \
	  $$family specialise --all && $$family evaluate-specialists --write-card

images: ## build container images; IMAGES="gateway vllm", CONTAINER_TOOL=podman, see docs/containers.md
	@$(PYTHON) -m deploy.images $(IMAGES)

chart: ## check the charts under Helm 3 and 4, and pack them into build/charts; ARGS="--push oci://…"
	@gateway=$(GATEWAY_PYTHON); "$$gateway" -m deploy.charts $(ARGS)

test-containers: ## the chart as real containers under podman, after `make images`: answers, and survives a kill
	@gateway=$(GATEWAY_PYTHON); "$$gateway" -m tests.containers

locks: ## after a change of a pin in deploy/locks or tests/clients/locks: write the hashes of its wheels
	@tools=$(TOOLS_PYTHON); "$$tools" -m deploy.supply_chain.wheels deploy/locks/*.txt tests/clients/locks/*.txt

sbom: ## bills of materials of locks and images, CycloneDX JSON in SBOM=build/sbom
	@gateway=$(GATEWAY_PYTHON); tools=$(TOOLS_PYTHON); \
	  "$$gateway" -m deploy.supply_chain.image_packages | "$$tools" -m deploy.supply_chain.sbom $(SBOM)

audit: ## locked versions that advisories name; ADVISORIES=file.json (or folder, zip) in OSV's form
	@gateway=$(GATEWAY_PYTHON); "$$gateway" -m deploy.supply_chain.audit $(ADVISORIES)

compose-secrets: ## once before `docker compose up`: make the secrets that its services share
	@$(PYTHON) -m deploy.compose.secrets

clean: ## remove caches and benchmark results of this checkout
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	  .import_linter_cache bench-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
