# Thin: every target is a command of dev.py.
PYTHON ?= python3

help:    ## this list
	@sed -n 's/^\([a-z]*\): *## /  make \1\t/p' $(MAKEFILE_LIST)
demo:    ## the main job on sample data
	$(PYTHON) dev.py demo
test:    ## all but nightly; T=path narrows
	$(PYTHON) dev.py test $(T)
check:   ## what CI runs
	$(PYTHON) dev.py check
serve:   ## the server
	$(PYTHON) dev.py serve
bench:   ## the benchmarks
	$(PYTHON) dev.py bench
fix:     ## formatting and safe fixes
	$(PYTHON) dev.py fix
setup:   ## the environment
	$(PYTHON) dev.py setup

.PHONY: help demo test check serve bench fix setup
