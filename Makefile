# A newcomer needs two targets: "make demo" and "make test". Both work on a fresh machine.
PYTHON ?= python3
RUN    := .venv
DEV    := .venv-test
OUT    ?= demo_out
RTX    := tensorrt-rtx-cu13==1.7.1.116 tensorrt-rtx-cu13-libs==1.7.1.116 tensorrt-rtx-cu13-bindings==1.7.1.116 'cuda-bindings>=12.6,<14'
# One test process a core, each with one thread and about 1.5 GB; the tests of a file share fixtures and stay together.
SPREAD := -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder
DEMO   := uois_sam_ros/demo/tabletop.mcap
CODE   := setup.py pyproject.toml $(shell find uois_sam_ros engines -type f -not -name '*.pyc')

.PHONY: help demo test test-tensorrt-rtx bench clean

help:
	@echo "make demo   install the run time into $(RUN) (no torch), segment and score the bundled recording"
	@echo "make test   install what the tests need into $(DEV) (torch included), run the whole suite on all cores"
	@echo "make test-tensorrt-rtx  also install TensorRT for RTX (300 MB), build every exported graph with it; no GPU needed"
	@echo "make bench  time the pipeline on this machine: against torch, with 15 objects, over prompts, objects, sizes, cameras"
	@echo "make clean  remove both environments and everything that was built"

demo: $(RUN)/.ready
	$(RUN)/bin/uois-sam eval $(DEMO)
	$(RUN)/bin/uois-sam segment $(DEMO) --overlay --out $(OUT)
	@echo "pictures: $(OUT)/"

test: $(DEV)/.ready
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest -q $(SPREAD) $(ARGS)

test-tensorrt-rtx: $(DEV)/.ready
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check $(RTX)
	$(DEV)/bin/python -m pytest -q -m "tensorrt_rtx or tensorrt_names" tests/test_tensorrt_rtx.py tests/test_tensorrt_names.py $(ARGS)

bench: $(DEV)/.ready
	$(DEV)/bin/uois-sam bench --against torch --json benchmarks/bench.json $(ARGS)
	$(DEV)/bin/uois-sam bench --objects 15 --json benchmarks/bench_15_objects.json $(ARGS)
	$(DEV)/bin/uois-sam bench --sweep all --json benchmarks/sweeps.json --plot benchmarks/sweeps.png $(ARGS)

$(RUN)/.ready: $(CODE)
	$(call venv,$(RUN))
	$(RUN)/bin/python -m pip install --quiet --disable-pip-version-check .
	@rm -rf build *.egg-info
	@touch $@

$(DEV)/.ready: setup.py pyproject.toml
	$(call venv,$(DEV))
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[test]'
	@touch $@

clean:
	rm -rf $(RUN) $(DEV) build dist *.egg-info $(OUT) .pytest_cache

define venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo "Python: expected 3.10 or newer, got $$($(PYTHON) --version); run make PYTHON=python3.11" >&2; exit 1; }
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1) || \
	{ echo "venv: expected a working 'python3 -m venv'; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
endef
