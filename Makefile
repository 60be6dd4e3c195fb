# `make run` and `make test` are all there is to set up: each installs and fetches what it needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

# A shell that has not read its profile since rustup ran does not know cargo.
ifeq ($(shell command -v cargo),)
export PATH := $(HOME)/.cargo/bin:$(PATH)
endif

# ONNX Runtime's published builds report their use to their maker unless told not to (docs/licences.md).
export ORT_DISABLE_TELEMETRY := 1

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CARGO_BUILD_TARGET_DIR),target)

# Tests that take over ten seconds: tests/tests/NAME.rs (or NAME/main.rs) behind the feature `slow` of
# xueliang-tests, one file a group. A group without a file is skipped.
TEST_GROUPS ?= oracle plan faults browser
# The same, for `make soak`: tests that take minutes to hours.
SOAK_GROUPS ?= soak oracle

# Arguments for the demo or a bench: make run ARGS="--help"
ARGS ?=

define heading
@printf '\n== %s\n' '$(1)'
endef

# One test after the other: each starts a whole service, and measures or loads the machine. Those of `faults` mostly wait,
# which a few of them can do side by side. All of the workspace is selected, so that dependencies keep the features they
# were built with for the other tests, and nothing is built twice.
define run_groups
@for group in $(1); do \
	[[ $$group == faults ]] && threads=3 || threads=1; \
	if [[ -f tests/tests/$$group.rs || -f tests/tests/$$group/main.rs ]]; then \
		printf '\n== tests: %s\n' "$$group"; \
		cargo test --locked --workspace --features xueliang-tests/slow --test "$$group" -- \
			--test-threads=$$threads $(2); \
	else \
		printf '\n== tests: %s: none yet\n' "$$group"; \
	fi; \
done
endef

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: run
run: setup console ## set up, build and start the demo (ARGS=... are handed to it)
	cargo build --locked --release --bin xueliang
	exec "$(TARGET_DIR)/release/xueliang" demo $(ARGS)

.PHONY: test
test: ## set up and check everything: format, lints, tests, named groups of slow tests
	@tools/setup.sh --tests
	@tools/footage.sh
	$(call heading,console)
	@tools/console.sh --check
	$(call heading,format)
	cargo fmt --all --check
	$(call heading,lints)
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	$(call heading,tests)
	cargo test --locked --workspace
	$(call run_groups,$(TEST_GROUPS))
	@printf '\n== all tests passed\n'

.PHONY: soak
soak: export XUELIANG_KILLS ?= 1000
soak: setup ## run the tests that take minutes to hours
	cargo test --locked --workspace --test help
	$(call run_groups,$(SOAK_GROUPS),--nocapture)

.PHONY: bench
bench: setup ## list the benches
	cargo run --locked --release --bin bench -- --help

bench-%: setup ## run one bench, for instance make bench-decode
	cargo build --locked --release --workspace --bin xueliang --bin bench
	"$(TARGET_DIR)/release/bench" $* $(ARGS)

# It encodes real footage by ffmpeg, as the tests do.
.PHONY: bench-activity
bench-activity: ## measure what encoded sizes and quantisers tell of movement
	@tools/setup.sh --tests
	cargo build --locked --release --workspace --bin bench
	"$(TARGET_DIR)/release/bench" activity $(ARGS)

# Likewise.
.PHONY: bench-attention
bench-attention: setup ## measure what attention saves and what it misses (ARGS=tree,recall: some parts)
	@tools/setup.sh --tests
	cargo build --locked --release --workspace --bin xueliang --bin bench
	"$(TARGET_DIR)/release/bench" attention $(ARGS)

# The clients of the servers beside the bus are built for this bench only.
.PHONY: bench-bus
bench-bus: setup ## measure the alert bus beside NATS and Redis (ARGS=flood: one part)
	@tools/peers.sh
	cargo build --locked --release --workspace --features xueliang-tests/peers --bin xueliang --bin bench
	"$(TARGET_DIR)/release/bench" bus $(ARGS)

# It drives the browser of the tests.
.PHONY: bench-console
bench-console: setup console ## measure the operators' page in a browser (ARGS=memory: an hour of it)
	@tools/setup.sh --tests
	cargo build --locked --release --workspace --bin xueliang --bin bench
	"$(TARGET_DIR)/release/bench" console $(ARGS)

.PHONY: setup
setup: ## install and fetch what building and running need
	@tools/setup.sh
	@tools/footage.sh

.PHONY: console
console: ## build the operators' page, which the program embeds
	@tools/console.sh

.PHONY: lint
lint: ## format in place, then the lints
	@tools/setup.sh --tests
	@tools/console.sh --check
	cargo fmt --all
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

.PHONY: proto
proto: ## generate the Rust code of proto/ again
	XUELIANG_REGENERATE=1 cargo test -p xueliang-proto --test regenerate

.PHONY: capability
capability: ## write docs/capability.md again
	XUELIANG_REGENERATE=1 cargo test --locked --workspace --lib capability_table

.PHONY: clean
clean: ## remove what was built and the demo's state
	cargo clean
	rm -rf demo-state console/embed/app console/src/gen console/.built console/.checked

.PHONY: distclean
distclean: clean ## also remove what was fetched
	rm -rf .cache console/node_modules
