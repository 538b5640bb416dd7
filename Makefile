# Everything a person or a forge does with spacebridge. `make` alone lists it.
#
# Package lists are in packaging/debian-*.txt; the Dockerfile reads the same ones.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A toolchain that rustup has just installed is not on the PATH of this shell yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
export CARGO ?= cargo

TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(abspath $(TARGET))/tools
BINARY := $(TARGET)/release/spacebridge
PREFIX ?= /usr/local
DOC := $(DESTDIR)$(PREFIX)/share/doc/spacebridge

.PHONY: help run build test drill soak screenshots bench api-check fuzz image-check deb deb-check install fmt clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Install what is missing, build, rehearse for about a minute (no account needed)
	$(BINARY) rehearse $(ARGS)

build: ## Build the release binary
	@packaging/install-packages.sh run build
	@packaging/check-rust.sh
	$(CARGO) build --release --locked --bin spacebridge

test: ## Format, lints, unit tests, integration tests with real servers
	@packaging/install-packages.sh run build test
	@packaging/check-rust.sh rustfmt clippy
	@packaging/test.sh

drill: ## Whole bad nights against real servers, judged by their recordings (about 40 min; DRILL=NAME for one)
	@packaging/install-packages.sh run build test
	@packaging/check-rust.sh
	$(CARGO) test --release --locked --lib --test it -- --ignored --nocapture --test-threads=1 --skip soak $(DRILL)

soak: ## Random faults on both sides for SOAK_MINUTES=30 (SOAK_SEED, SOAK_KILLS=1, SOAK_REPORT=FILE)
	@packaging/install-packages.sh run build test
	@packaging/check-rust.sh
	SOAK_MINUTES=$(or $(SOAK_MINUTES),30) SOAK_SEED=$(SOAK_SEED) SOAK_KILLS=$(SOAK_KILLS) SOAK_REPORT=$(abspath $(SOAK_REPORT)) \
		$(CARGO) test --release --locked --test it -- --ignored --nocapture --test-threads=1 soak_in_random_faults

screenshots: ## Pictures of the dashboard in both themes and at a phone's width, into target/screenshots
	@packaging/install-packages.sh run build test
	$(CARGO) test --locked --test it -- --include-ignored --test-threads=1 dashboard::a_ dashboard::screenshots

bench: ## CPU, memory and exports beside ffmpeg, and many shows at once (BENCH_ROUNDS, BENCH_SECONDS, BENCH_HOURS)
	@packaging/install-packages.sh run build test
	@$(MAKE) build
	python3 bench/bench.py --binary $(BINARY) --results $(TARGET)/bench
	python3 bench/exports.py --binary $(BINARY) --results $(TARGET)/bench
	python3 bench/many.py --binary $(BINARY) --results $(TARGET)/bench
	python3 bench/many.py --waiting --binary $(BINARY) --results $(TARGET)/bench

api-check: build ## Try every operation of the daemon's OpenAPI document with schemathesis, from PyPI (EXAMPLES=20)
	@packaging/install-packages.sh run build
	python3 packaging/api_check.py --binary $(BINARY) --work $(TARGET)/api-check --examples $(or $(EXAMPLES),20)

fuzz: ## Every parser of outside bytes, a minute each (FUZZ_SECONDS)
	@packaging/install-packages.sh run build
	@packaging/check-rust.sh
	@packaging/fuzz.sh

image-check: build ## Try the Dockerfile's run stage in a chroot (as root or with sudo): no Docker engine needed
	@packaging/install-packages.sh image
	$(if $(filter 0,$(shell id -u)),,sudo )python3 packaging/image_check.py --binary $(BINARY) --work $(TARGET)/image-check

deb: build ## Make the Debian package (target/debian)
	@test -x $(TOOLS)/bin/cargo-deb || $(CARGO) install cargo-deb --version 3.8.0 --locked --root $(TOOLS)
	$(TOOLS)/bin/cargo-deb --no-build --output $(TARGET)/debian/

deb-check: deb ## Install, upgrade and purge the package in a chroot (as root or with sudo)
	@packaging/install-packages.sh image
	$(if $(filter 0,$(shell id -u)),,sudo )python3 packaging/deb_check.py --package $(TARGET)/debian/*.deb --work $(TARGET)/deb-check

install: ## Copy the built binary and the sample configuration below PREFIX (/usr/local)
	@test -x $(BINARY) || { echo "There is no $(BINARY) yet: make build" >&2; exit 1; }
	install -D -m 0755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/spacebridge
	install -D -m 0644 -t $(DOC) README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE config/spacebridge.toml config/serve.toml

fmt: ## Format the code
	$(CARGO) fmt

clean: ## Remove what was built
	$(CARGO) clean
