# Everything a newcomer types. `make help` lists it.
#
# Each Python has a virtual environment of its own: .venv for the default one, .venv-3.13 for PYTHON=python3.13.

PYTHON ?= python3
VENV   := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO   := $(VENV)/.demo
PYTEST := $(BIN)/python -m pytest
comma  := ,

SECONDS ?= 60
PYTHON2 ?= python2.7

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-cluster test-without-brokers lint conformance soak fuzz bench deb wheelhouse systemd-test clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-22s %s\n' "$$name" "$$text"; done

# Quiet but for errors; a second run finds the stamp and does nothing.
define install
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, $(PYTHON) is %d.%d: make PYTHON=python3.x …" % sys.version_info[:2])'
	@echo "installing into $(VENV), once; this takes a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(1)]'
	@$(BIN)/python -m compileall -q gateway devices  # as an installed gateway is; half a second of every start
endef

$(STAMP): pyproject.toml
	$(call install,dev)
	@touch $@ $(DEMO)

# A third of what the tests need: who only wants to see it does not wait for linters and browsers.
$(DEMO): pyproject.toml
	$(call install,demo$(comma)cbor$(comma)sparkplug$(comma)tui)
	@touch $@

demo: $(DEMO)  ## broker, simulated sensors, gateway and page on this machine, until Ctrl-C
	@exec $(BIN)/sensor-gateway demo

lint: $(STAMP)  ## ruff check, ruff format --check, mypy --strict
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --strict --no-error-summary gateway devices

test: lint  ## all that needs no root, with real brokers; under 10 minutes
	@tests/install-debian.sh test
	@$(PYTEST) -q -m 'not slow'

test-without-brokers: $(STAMP)  ## what needs no broker, e.g. under another Python: PYTHON=python3.13
	@$(PYTEST) -q -m 'not slow and not broker and not timing'

test-all: $(STAMP)  ## the long and root-only tests that `make test` leaves out; under 60 minutes
	@tests/install-debian.sh test-all
	@$(PYTEST) -q -m slow

test-cluster: $(STAMP)  ## three gateways over three NATS nodes behind HAProxy, each killed in turn; under 8 minutes
	@tests/install-debian.sh test-cluster
	@SENSOR_GATEWAY_CLUSTER_SECONDS=180 $(PYTEST) -q -s tests/cluster

conformance: $(STAMP)  ## the edge against the Autobahn test suite for RFC 6455, which needs PYTHON2=python2.7
	@$(BIN)/python tests/conformance/run.py --python2 $(PYTHON2)

soak: SECONDS = 600
soak: $(STAMP)  ## SECONDS=600 each: a flapping broker, viewers of all kinds; then the model of order, 100,000 examples
	@tests/install-debian.sh bench
	@$(BIN)/python benchmarks/flapping.py $(SECONDS)
	@$(BIN)/python benchmarks/soak.py $(SECONDS)
	@SENSOR_GATEWAY_EXAMPLES=100000 $(PYTEST) -q --timeout 0 tests/edge/test_order.py

fuzz: $(STAMP)  ## broken bytes at all that takes bytes from strangers, SECONDS=60 each; TARGET=everything for one
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@$(BIN)/python tests/fuzz/run.py $(SECONDS) $(TARGET)

bench: $(STAMP)  ## the gateway beside Mosquitto's WebSocket listener, on this machine
	@tests/install-debian.sh bench
	@$(BIN)/python benchmarks/bench.py
	@$(BIN)/python benchmarks/idle.py
	@$(BIN)/python benchmarks/encode.py
	@$(BIN)/python benchmarks/decode.py

deb: $(STAMP)  ## a Debian package for this machine's Python and architecture, into dist/
	@$(BIN)/python debian/build.py

wheelhouse: $(STAMP)  ## every wheel of an installation without a network, into dist/wheelhouse
	@SENSOR_GATEWAY_CHARTS=required $(BIN)/python -m pip --disable-pip-version-check wheel --quiet \
		--wheel-dir dist/wheelhouse '.[cert,tui,jwt,cbor,sparkplug,cluster]'

systemd-test: $(STAMP)  ## the package in a machine with a real systemd: as root, two minutes
	@tests/install-debian.sh systemd-test
	@$(PYTEST) -q tests/systemd

clean:  ## virtual environments, caches, build products
	@rm -rf .venv .venv-* .conformance build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
