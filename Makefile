# The two commands: `make demo` and `make test`. Everything lives in .venv; nothing outside the checkout is touched.
# The distribution's Python first, where it can make environments: profile-guided builds read mail a quarter faster than what
# version managers build on the spot.
PYTHON ?= $(or $(shell for python in /usr/bin/python3.11 python3.11 python3; do \
	"$$python" -c 'import ensurepip' 2>/dev/null && echo "$$python" && break; done),python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check format bench soak rules tables schema pins clean

demo: $(VENV)/.dev
	@rm -f demo.db demo.db-wal demo.db-shm
	@$(BIN)/dsn-processor replay fixtures_eml --db sqlite:///demo.db --table

# More processes than two cores: much of the time goes to waiting for servers.
test: check
	$(BIN)/python -m pytest -n 4 --dist worksteal $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m compileall -q dsn_processor
	$(BIN)/python tests/bench.py

soak: $(VENV)/.dev
	$(BIN)/python tests/soak.py

# Generated files: the compiled rules, the list of them in docs/rules, the tables, and the published JSON Schema. A test
# fails while they are stale.
rules: $(VENV)/.dev
	$(BIN)/python -m dsn_processor.classify.compile
	$(BIN)/python -m dsn_processor.teach.catalogue docs/rules

tables: $(VENV)/.dev
	$(BIN)/python -m dsn_processor.record.compile

schema:
	cp dsn_processor/schemas/parse.schema.json docs/parse.schema.json

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dsn-processor needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	$(BIN)/python -m compileall -q dsn_processor
	@touch $@

# Compile the pins anew (needs uv). Hashes, no index names.
pins:
	uv pip compile --universal --upgrade --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements/runtime.txt
	uv pip compile --universal --upgrade --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --group dev -o requirements/dev.txt

clean:
	rm -rf $(VENV) demo.db demo.db-wal demo.db-shm demo.db-lock
