# The verbs. Everything behind them is CMake (CMakePresets.json) and the programs in scripts/.

PREFIX ?= /usr/local

.PHONY: help demo demo-kafka demo-cassandra build adapter test property property-evolve torture bench lint format install clean bench-check bench-peers bench-all profile package

help:     ## show this list (the default)
	@sed -n 's/^\([a-z-]*\): *## /make \1\t/p' Makefile | expand -t 21

demo:     ## set up, build, and watch features of real flights being computed
	@scripts/setup build
	@$(MAKE) --no-print-directory build
	@examples/flights/demo

demo-kafka: ## the same from a real Kafka broker: orders of a shop, late and broken ones among them
	@scripts/setup demo-kafka
	@$(MAKE) --no-print-directory build
	@examples/orders/demo

demo-cassandra: ## from Kafka into a real Cassandra: the table planned and made, features kept and read back
	@scripts/setup demo-cassandra
	@$(MAKE) --no-print-directory build
	@scripts/build adapter
	@examples/orders/demo-cassandra

build:    ## build the release binary, build/freshet
	@scripts/build release
	@ln -sfn release/freshet build/freshet

adapter:  ## build the Cassandra adapter (Rust), which 'cassandra:' needs
	@scripts/setup adapter
	@scripts/build adapter

test:     ## set up, build with sanitizers, run every test (under 20 minutes)
	@scripts/test

property: ## 20,000 random pipelines each: windows against DuckDB, order against a naive twin; 200 changed declarations
	@scripts/setup test
	@scripts/build release
	@scripts/property 20000

property-evolve: ## of these only the 200 pairs of declarations (old, new) over one state
	@scripts/setup test
	@scripts/build release
	@scripts/property 20000 "$${FRESHET_SEED:-1}" evolve

torture:  ## kill running streams a hundred times, damage their state (some minutes)
	@scripts/torture

bench:    ## the windows job beside every peer that is built, in one table (half an hour); BASE=REV: and the build of that commit
	@scripts/setup bench
	@$(MAKE) --no-print-directory build
	@FRESHET_BENCH_BASE="$(BASE)" bench/run table kafka-latency batch

bench-peers: ## install and build the programs that make bench compares with (half an hour, the first time)
	@scripts/setup peers
	@bench/peer_table.py

bench-all: ## every benchmark there is, on this machine (an hour)
	@scripts/setup bench
	@$(MAKE) --no-print-directory build
	@scripts/build adapter
	@bench/run

bench-check: ## count the instructions of an event against bench/instructions.json; UPDATE=1 writes it
	@$(MAKE) --no-print-directory build
	@bench/check.py $(if $(UPDATE),--update)

profile:  ## where the time of the windows job goes: a table by stage, and build/bench/profile.svg
	@$(MAKE) --no-print-directory build
	@bench/flames.py

lint:     ## check layout, C by clang-tidy, shell by shellcheck
	@scripts/lint

format:   ## lay out the C sources as clang-format says
	@scripts/format

install:  ## install into PREFIX (/usr/local), staged below DESTDIR
	@$(MAKE) --no-print-directory build
	@DESTDIR="$(DESTDIR)" cmake --install build/release --prefix "$(PREFIX)"

package:  ## make a Debian package of it all, in build/release/package
	@scripts/setup package
	@$(MAKE) --no-print-directory build
	@scripts/build adapter
	@scripts/package

clean:    ## remove what was built; what scripts/setup installed stays
	@rm -rf build
