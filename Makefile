# The manual of this project: `make` prints it. Each target does the set-up that it needs, so that a fresh Debian or Ubuntu
# machine with Node and root needs nothing by hand. BACKEND names the backend of the demo (nftables, ebpf, doca);
# `make demo` has a machine in it where there is QEMU; VM=0 leaves it out, VM=1 installs what it needs.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
bin := node_modules/.bin

.PHONY: help setup build native shims shims-arm64 check lint format test demo bench conformance corpus vectors errors proto clean

help: ## Print this manual
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing: Debian packages (as root), npm packages
	@scripts/setup.sh

build: setup ## Compile TypeScript into dist/
	@$(bin)/tsc -p tsconfig.build.json
	@if [ -f dist/bin/sluice.js ]; then chmod +x dist/bin/sluice.js; fi

native: setup ## Compile the C and BPF parts into build/native/
	@$(MAKE) -f src/native/Makefile
	@$(MAKE) -f src/native/ebpf/Makefile
	@$(MAKE) -f src/native/rtnl/Makefile
	@$(MAKE) -f src/native/vault/Makefile
	@$(MAKE) -f src/native/bench/Makefile

shims: setup ## Build the DOCA shim: on the emulator, or SDK=/opt/mellanox/doca
	@$(MAKE) -f doca-shims/Makefile
	@$(MAKE) -f doca-shims/vault/Makefile

shims-arm64: ## Cross-build the shim for the DPU, and run its C tests under qemu-user
	@scripts/setup.sh tests
	@$(MAKE) -f doca-shims/Makefile arm64
	@$(MAKE) -f doca-shims/vault/Makefile arm64

check: setup ## Check types: the whole project, then the pure files alone, without Node's types
	@$(bin)/tsc -p tsconfig.json
	@$(bin)/tsc -p tsconfig.pure.json

lint: setup ## Check format and lint rules; change nothing
	@$(bin)/biome check --error-on-warnings .
	@$(bin)/eslint --max-warnings 0 src test scripts

format: setup ## Write the format, and the fixes that are safe
	@$(bin)/biome check --write .

test: ## Build, check, lint and run every suite; the last line counts them
	@scripts/setup.sh tests
	@node scripts/test.mjs

demo: build native $(if $(filter doca%,$(BACKEND)),shims) ## A signed bundle becomes rules in the kernel, and real packets obey them
	@$(if $(filter 1,$(VM)),scripts/setup.sh tests)
	@node scripts/demo.mjs

bench: ## Measure what the fence costs into build/bench: an hour, or three minutes with QUICK=1
	@scripts/setup.sh bench
	@$(MAKE) build native $(if $(QUICK),,shims)
	@node dist/bin/sluice.js bench $(if $(QUICK),--quick) --out build/bench

conformance: build native ## Compare every backend with evaluate, packet by packet; N=1000000 sets how many
	@CONFORMANCE_CASES=$(or $(N),20000) $(bin)/vitest run test/conformance

corpus: build ## Judge the OpenShell policies that SLUICE_POLICIES names against their expectations
	@node scripts/corpus.mjs

vectors: build ## Run the public test vectors that SLUICE_VECTORS names; print counts by set
	@node scripts/vectors.mjs

errors: build ## Write src/ERRORS.md from the tables of codes
	@node scripts/errors.mjs --write

proto: setup ## Write src/api/gen from src/api/sluice.proto
	@node scripts/proto.mjs --write

clean: ## Remove everything that was built
	@rm -rf dist build coverage
