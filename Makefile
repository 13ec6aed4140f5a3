# make run and make test need Python 3.11 or later and a package index, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check bench clean

$(VENV)/.run: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	touch $@

run: $(VENV)/.run
	$(BIN)/wfbt data sample datasets/sample --if-absent
	$(BIN)/wfbt run examples/ema_rsi_adx.yaml --folds 12

test: $(VENV)/.dev
	$(BIN)/wfbt data sample datasets/sample --if-absent
	$(BIN)/python -m pytest -n auto
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -q -m kernel
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -m kernel

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/end_to_end.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/regimes.py
	$(BIN)/python benchmarks/leakage.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/overfitting.py
	$(BIN)/python benchmarks/gate_calibration.py
	$(BIN)/python benchmarks/risk.py
	$(BIN)/python benchmarks/monte_carlo.py
	$(BIN)/python benchmarks/network.py
	$(BIN)/python benchmarks/accounts.py

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
