# make demo and make test are for everybody; the others are for who changes the code.
# Each makes .venv when there is none and brings it up to date when pyproject.toml or
# constraints.txt changed. ARGS is handed on: make demo ARGS="--from DIR", make test ARGS="-k jobs".

VENV := .venv
RUN := $(VENV)/bin/python -m
# In the order of the tree, in which the longest come first; as many as there are processors.
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# A Python that is 3.11 or newer: python3 itself, else the newest there is. PYTHON=... overrides.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

demo: $(VENV)/installed
	@$(VENV)/bin/profile-exports demo $(ARGS)

serve: $(VENV)/installed
	@$(VENV)/bin/profile-exports serve $(ARGS)

# On both cores: a file's tests stay together, each process has a PostgreSQL of its own.
test: $(VENV)/installed-for-tests
	@$(RUN) pytest $(SIDE_BY_SIDE) $(ARGS)

check: $(VENV)/installed-for-tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	@$(RUN) pytest $(SIDE_BY_SIDE) --durations 15

# Thousands of calls made up from openapi.yaml, of broken requests, and of broken files:
# FUZZ_EXAMPLES, HTTP_FUZZ_REQUESTS and FUZZ_INPUTS say how many for each operation, in all, and
# for each kind of file. Some hours as it is.
fuzz: $(VENV)/installed-for-tests
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-300} HTTP_FUZZ_REQUESTS=$${HTTP_FUZZ_REQUESTS:-20000} \
		FUZZ_INPUTS=$${FUZZ_INPUTS:-100000} $(RUN) pytest tests/surfaces/test_fuzz.py \
		tests/surfaces/test_http_fuzz.py tests/engine/test_fuzz_json.py tests/engine/test_fuzz_csv.py \
		tests/engine/test_fuzz_parquet.py $(ARGS)

# Kills, stops and cuts off what a service of its own is made of, KILLS times after the plan of SEED,
# and audits what is left: about 5 s a kill. See docs/reliability.md.
chaos: $(VENV)/installed-for-tests
	@$(RUN) tests.chaos $(ARGS)

# Adds what pyproject.toml newly asks for; with ARGS=--upgrade takes the newest of everything.
constraints: $(VENV)/made
	@$(RUN) pip install --quiet --disable-pip-version-check uv
	@$(RUN) uv pip compile --quiet --universal --python-version 3.11 --group dev \
		--group bench --group bench-java $(ARGS) \
		--no-emit-index-url --no-annotate --no-header --output-file constraints.txt pyproject.toml

# Half an hour for a million profiles; ARGS=--quick takes two minutes. See benchmarks/README.md.
bench: $(VENV)/installed-for-bench
	@$(VENV)/bin/python benchmarks/bench.py $(ARGS)

# Five minutes: calls a second beside a bare handler. ARGS="--seconds 5 --no-listing" is quick.
bench-load: $(VENV)/installed-for-bench
	@$(VENV)/bin/python benchmarks/load.py $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/made
	@echo "Installing what the service needs into $(VENV) (a few minutes the first time)"
	@$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

# Read with tomllib because "pip install --group" needs a pip newer than many a Python brings.
$(VENV)/installed-for-tests: $(VENV)/installed
	@echo "Installing what the tests need too into $(VENV)"
	@$(VENV)/bin/python -c 'import tomllib; groups = tomllib.load(open("pyproject.toml", "rb")); \
		print(*groups["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev-requirements.txt
	@$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -r $(VENV)/dev-requirements.txt
	@touch $@

$(VENV)/installed-for-bench: $(VENV)/installed
	@echo "Installing what the benchmark compares with into $(VENV)"
	@$(VENV)/bin/python -c 'import shutil, tomllib; groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; \
		print(*groups["bench"], *(groups["bench-java"] if shutil.which("java") else []), sep="\n")' > $(VENV)/bench-requirements.txt
	@$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -r $(VENV)/bench-requirements.txt
	@touch $@

# A .venv that has a working pip is kept, whoever made it.
$(VENV)/made:
	@$(RUN) pip --version >/dev/null 2>&1 || { \
		test -n "$(PYTHON)" || { \
			echo "Python 3.11 or newer is needed and none was found: install one, or name it with make PYTHON=/path/to/python3"; exit 1; }; \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
			echo "$(PYTHON) is not Python 3.11 or newer"; exit 1; }; \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install" \
			"$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; exit 1; }; \
		$(PYTHON) -m venv --clear $(VENV); }
	@touch $@

.PHONY: demo serve test check fuzz chaos bench bench-load constraints clean
