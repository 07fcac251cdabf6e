# The commands of a working day. `make setup` once; the others call it when they must.
PYTHON ?= python3
BIN := .venv/bin
# Tests wait more than they compute; each of these has brokers of its own.
TEST_WORKERS ?= 3
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: setup system browser check format test mailpit chaos chaos-mail demo email-queue activity-log worker-pool docs pictures bench bench-stream \
	bench-jobs bench-console bench-growth bench-lock lock clean

setup: .venv/installed

.venv/installed: requirements.lock setup.cfg pyproject.toml setup.py $(wildcard activity/_*.pyx activity/_*.h)
	@$(MAKE) --no-print-directory system
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What comes from Debian: only what is missing, and only where there is no Docker to run the brokers in.
system:
	@missing=; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || missing="$$missing python3-dev"; \
	docker info >/dev/null 2>&1 || { \
		[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || [ -n "$$CHOPAR_RABBIT_URL" ] || missing="$$missing rabbitmq-server"; \
		command -v mvn >/dev/null || [ -n "$$CHOPAR_KAFKA_URL$$CHOPAR_MAVEN_URL" ] || missing="$$missing maven"; }; \
	$(install)

# The browser that the tests drive; nothing else needs it.
browser:
	@missing=; \
	command -v "$${CHOPAR_CHROMIUM:-chromium}" >/dev/null || missing=" chromium"; \
	$(install)

define install
[ -z "$$missing" ] || { echo "installing from Debian:$$missing"; \
	$(SUDO) apt-get -qq update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; }
endef

check: setup docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

# The documents as a site in .site; a link that leads nowhere is an error. (With --quiet it would be none.)
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup browser
	$(BIN)/pytest -n $(TEST_WORKERS) --dist worksteal $(ARGS)

# What a real mail server makes of the mails; the first time Go builds it.
mailpit: setup
	$(BIN)/pytest tests/rabbit/check_mailpit.py $(ARGS)

# Processes and Kafka are hurt at random, then all is counted: ARGS="--seed 7 --mix outages --rate 2000".
chaos: setup
	$(BIN)/python -m tests.chaos $(ARGS)

# The same of mailers, RabbitMQ and its connections: ARGS="--seed 7 --mix outages --rate 500".
chaos-mail: setup
	$(BIN)/python -m tests.chaos.mail $(ARGS)

demo: setup
	$(BIN)/chopar demo $(ARGS)

# The pages as docs/pictures shows them, with invented data; after a change of a page.
pictures: setup browser
	$(BIN)/python -m tests.console.pages.pictures

# The mini-projects; docs/learn says what each shows.
email-queue worker-pool activity-log: setup
	@$(BIN)/python -m examples.$(subst -,_,$@) $(ARGS)

# Run after a change of the dependencies in setup.cfg.
lock:
	$(BIN)/uv pip compile setup.cfg --all-extras --generate-hashes --no-emit-find-links --universal --python-version 3.11 \
		--quiet --custom-compile-command "make lock" --output-file requirements.lock

bench: setup
	$(BIN)/python -m benchmarks.rules
	$(BIN)/python -m benchmarks.mails

# Chopar's stream side and its peers on the same work; writes benchmarks/results/. Wants 2 cores for itself and a JDK with Maven.
ROUNDS ?= 3
EVENTS ?= 1000000
bench-stream: .venv-bench/installed benchmarks/peers/kafka_streams/target/installed
	$(BIN)/python -m benchmarks.stream --rounds $(ROUNDS) --events $(EVENTS)

# Chopar's mail side and its peers on the same work; writes benchmarks/results/. Wants 2 cores for itself. ARGS=--memory: a mailer's memory too.
JOBS ?= 20000
bench-jobs: .venv-bench/installed
	$(BIN)/python -m benchmarks.jobs --rounds $(ROUNDS) --jobs $(JOBS) $(ARGS)

# The pages under load, and what looking costs the stream; writes benchmarks/results/console.*. Wants 2 cores for itself; 6 minutes.
bench-console: setup
	$(BIN)/python -m benchmarks.console $(ARGS)

# Cost as work grows; half an hour.
bench-growth: setup
	$(BIN)/python -m benchmarks.stream.growth $(ARGS)

# The peers, in an environment of their own.
.venv-bench/installed: benchmarks/requirements.lock | setup
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

benchmarks/peers/kafka_streams/target/installed: $(shell find benchmarks/peers/kafka_streams -name '*.java' -o -name pom.xml)
	cd benchmarks/peers/kafka_streams && mvn --quiet --batch-mode package
	@touch $@

bench-lock: setup
	$(BIN)/uv pip compile benchmarks/requirements.in --generate-hashes --no-emit-find-links --python-version 3.11 \
		--quiet --custom-compile-command "make bench-lock" --output-file benchmarks/requirements.lock

clean:
	rm -rf .venv .venv-bench benchmarks/peers/kafka_streams/target .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info build activity/_hand.c activity/*.so
