# Two commands: `make run` and `make test`. Each line is a command one could type.
# What a fresh Debian 12 with Rust, make and git lacks is installed on the way, and said.

.DEFAULT_GOAL := help
.PHONY: help run test check web-types bench soak tools-run tools-check tools-test

# Arguments for the server: make run ARGS="--http 127.0.0.1:9000"
ARGS ?=
# make run LAN=1: over HTTPS, for browsers in the same network.
LAN ?=
# Seconds of fuzzing for each target of `make soak`.
FUZZ_SECONDS ?= 600

export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

help:
	@echo 'make run     build the server and start it; ends in a URL to open (ARGS="--help" lists flags)'
	@echo '             LAN=1: over HTTPS for browsers in the same network, with an invitation and its QR code'
	@echo 'make test    everything: make check, all tests, real browsers'
	@echo 'make check   formatting, lints, documentation, licences, types of the page, instructions of a packet'
	@echo 'make bench   cost of forwarding a packet and of a simulated conference; the estimator on bad networks;'
	@echo '             time from join to picture in Chromium'
	@echo 'make soak    the long tests, 1,000 random scenes, churn, $(FUZZ_SECONDS) s of fuzzing for each target'

run: tools-run
	cargo run --locked --release --bin plenum -- $(if $(LAN),--lan) $(ARGS)

test: check tools-test
	cargo build --locked --bin plenum
	cargo test --locked --workspace -- --skip slow_
	cd loadtest/tests/browser && npm test

check: tools-check
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo check --locked -p sfu --no-default-features
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
	cargo deny --locked check licenses bans sources
	cd web && npm run check
	cargo bench --locked -p sfu --bench instructions

# The browser library's declarations, for programs in TypeScript: target/web-types/plenum/*.d.ts.
web-types: web/node_modules/.package-lock.json
	cd web && npm run types

bench: tools-test
	cargo bench --locked -p sfu --bench allocator --bench estimator --bench forward --bench instructions
	cargo test --locked --release -p loadtest --test forward -- --nocapture
	cargo run --locked --release -p loadtest -- network-bench
	cargo build --locked --release --bin plenum
	cd loadtest/tests/browser && PLENUM_BIN=$(CURDIR)/target/release/plenum npm run join-time
	# Last: what it costs to carry a packet to another shard is above its gate (docs/performance.md).
	cargo bench --locked -p sfu --bench pipe

soak: tools-test
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	cargo test --locked --release --workspace -- slow_
	cargo run --locked --release -p loadtest -- scene --seeds 1000
	cargo run --locked --release -p loadtest -- churn
	cd sfu/fuzz && for target in $$(cargo fuzz list); do cargo fuzz run -s none $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done

# --- what has to be there ---------------------------------------------------------------------------

# $(call need,program:package ...): installs, with apt, the packages of programs that are missing.
need = @missing=; for pair in $(1); do command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair\#*:}"; done; \
	if [ -n "$$missing" ]; then echo "Installing by apt:$$missing"; \
	$(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$missing; fi

tools-run:
	$(call need,cc:build-essential)

tools-check: tools-run web/node_modules/.package-lock.json
	$(call need,valgrind:valgrind)
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || { echo 'Installing by rustup: rustfmt clippy'; rustup component add rustfmt clippy; }
	@command -v cargo-deny >/dev/null || { echo 'Installing by cargo: cargo-deny (unoptimised: it builds in a minute and runs in three seconds)'; cargo install --locked --debug --quiet cargo-deny@0.20.2; }

tools-test: tools-check loadtest/tests/browser/node_modules/.package-lock.json target/python/stubs
	$(call need,chromium:chromium firefox-esr:firefox-esr ip:iproute2 unshare:util-linux nsenter:util-linux go:golang-go)

# The README's example runs from a virtual environment; nothing goes into the system's Python.
PROTOS = $(wildcard proto/plenum/v1/*.proto) proto/google/rpc/status.proto
target/python/stubs: docs/examples/python/requirements.txt $(PROTOS)
	$(call need,python3:python3)
	@python3 -c 'import ensurepip' 2>/dev/null || { echo 'Installing by apt: python3-venv'; $(SUDO) apt-get update -q && $(SUDO) apt-get install -yq --no-install-recommends python3-venv; }
	@echo 'Installing by pip into target/python: grpcio grpcio-tools'
	python3 -m venv target/python
	target/python/bin/pip install --quiet --disable-pip-version-check -r $<
	mkdir -p $@
	target/python/bin/python -m grpc_tools.protoc -I proto --python_out=$@ --grpc_python_out=$@ $(PROTOS)
	@touch $@

# npm writes this file last; it is older than the lock file when that has changed.
%/node_modules/.package-lock.json: %/package-lock.json
	$(call need,node:nodejs npm:npm)
	@echo 'Installing by npm: $*'
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
