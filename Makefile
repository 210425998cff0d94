# Two commands: `make demo` shows the whole way on this machine, `make test` checks everything.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo test check clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/python examples/retail/demo.py --folder $(DEMO) --install-seconds $(VENV)/.installed

test: $(VENV)/.installed-test check
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

check: $(VENV)/.installed-test
	$(BIN)/ruff check src tests examples benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# The file holds the seconds that installing took: the demo reports them.
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing sqlora and what it needs into $(VENV) (about a minute)"
	@start=$$(date +%s); \
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train]' && \
	end=$$(date +%s); echo $$((end - start)) > $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,emulator,test]'
	@touch $@

clean:
	rm -rf $(VENV) $(DEMO) demo-result.json
