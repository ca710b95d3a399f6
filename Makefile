# The verbs. Everything behind them is CMake (CMakePresets.json) and the programs in scripts/.

.DEFAULT_GOAL := help
.PHONY: demo build test bench lint format install clean help setup

PREFIX ?= /usr/local

help:   ## show this list
	@sed -n 's/^\([a-z]*\):.*## /    make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup:  ## install what building and testing need
	@scripts/setup test

build:  ## build the release binary: build/freshet
	@scripts/build release
	@ln -sfn release/freshet build/freshet

clean:  ## remove everything that was built (what scripts/setup installed stays)
	@rm -rf build
