# `make example` and `make test` set up all that they need; `make` lists all targets.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
CONSTRAINTS ?= config/constraints.txt
# the newest of everything has an environment of its own: else what is installed would stay
VENV ?= $(if $(CONSTRAINTS),.venv,.venv-unconstrained)
BIN := $(VENV)/bin
PIP_INSTALL = "$(BIN)/python" -m pip install --quiet --disable-pip-version-check \
	$(if $(CONSTRAINTS),--constraint "$(CONSTRAINTS)",--upgrade --upgrade-strategy eager)

.DEFAULT_GOAL := help
.PHONY: help example monthly pipelines test simulate thorough flaky bench lint reference man docs wheel deployment constraints clean tools test-tools

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

example: $(VENV)/.stamp-examples tools ## make PDF reports of invented data, in examples/outputs
	@"$(BIN)/python" -m examples

monthly: $(VENV)/.stamp-examples tools ## make two monthly reports, one of them provisional and then final, in examples/monthly/outputs
	@"$(BIN)/python" -m examples.monthly

pipelines: $(VENV)/.stamp-examples tools ## run twelve notebooks over three months of invented data, in examples/pipelines/outputs
	@"$(BIN)/python" -m examples.pipelines

test: $(VENV)/.stamp-test tools test-tools ## run the tests
	@"$(BIN)/python" -m pytest --numprocesses 3 --dist worksteal

thorough: $(VENV)/.stamp-test tools test-tools ## run the tests that draw what they try, with several times as many draws as `make test`
	@AUTOFLOW_TEST_THOROUGH=1 "$(BIN)/python" -m pytest -n 0 tests/unit/test_fuzzed_inputs.py tests/integration/test_report_text.py

flaky: $(VENV)/.stamp-test tools test-tools ## repeat the tests of what has changed against main TIMES (10), half of them under load
	@"$(BIN)/python" -m tests.flaky --times $(or $(TIMES),10)

simulate: $(VENV)/.stamp-test ## live SEEDS (300) deployments through a simulated month each, with faults
	@"$(BIN)/python" -m tests.simulation --seeds $(or $(SEEDS),300)

bench: $(VENV)/.stamp-test tools ## measure AutoFlow beside what could take its place, for half an hour (ARGUMENTS=--quick: minutes)
	@command -v pandoc >/dev/null || .ci/apt-install pandoc
	@"$(BIN)/python" -m benchmarks $(ARGUMENTS)

lint: $(VENV)/.stamp-test ## check style, types and the layers of imports
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .
	@"$(BIN)/mypy"
	@PYTHONPATH=. "$(BIN)/lint-imports" --no-logo

reference: $(VENV)/.stamp-test ## write what docs/reference has from the code anew: keys, commands, settings
	@"$(BIN)/python" -m tests.reference

docs: $(VENV)/.stamp-docs ## build the docs as a site, in build/site; a link that leads nowhere fails
	@"$(BIN)/zensical" build --clean --strict

man: $(VENV)/.stamp-test ## write man pages from the parsers into build/man
	@"$(BIN)/python" -m tests.man_pages

wheel: $(VENV)/bin/python ## build a wheel, and try it in an environment of its own
	@PYTHON="$(BIN)/python" tests/deployment/wheel.sh

deployment: ## try image, systemd unit and cuts of the network for real; needs root and container tools, and says so where they are missing
	@for trial in image systemd workers; do tests/deployment/$$trial.sh || [ $$? = 77 ] || exit 1; done

constraints: ## write config/constraints.txt anew, with the newest of everything for each Python from 3.11.0 on
	@"$(PYTHON)" -m venv --clear "$(VENV)-newest"
	@"$(VENV)-newest/bin/python" -m pip install --quiet --disable-pip-version-check uv
	@"$(VENV)-newest/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		--extra test --extra apprise --extra docs --output-file "$(VENV)-newest/resolved.txt" setup.cfg
	@{ sed -n '/^#/p' config/constraints.txt; cat "$(VENV)-newest/resolved.txt"; } > "$(VENV)-newest/constraints.txt"
	@mv "$(VENV)-newest/constraints.txt" config/constraints.txt
	@rm -rf "$(VENV)-newest" build *.egg-info

clean: ## remove the virtual environment and what the example made
	rm -rf "$(VENV)" examples/outputs examples/monthly/outputs examples/pipelines/outputs build *.egg-info

# one environment for all: the extras differ, and a changed setup.cfg reinstalls
$(VENV)/.stamp-%: setup.cfg pyproject.toml $(CONSTRAINTS) $(VENV)/bin/python
	@echo "installing AutoFlow[$*] into $(VENV), which takes a minute ..."
	@$(PIP_INSTALL) --editable ".[$*]"
	@touch "$@"

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed; on Debian 12 or Ubuntu 24.04: apt-get install python3"; exit 1; fi
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || .ci/apt-install python3-venv
	@"$(PYTHON)" -m venv "$(VENV)" || { rm -f "$@"; exit 1; }

tools:
	@command -v asciidoctor-pdf >/dev/null || .ci/apt-install ruby-asciidoctor-pdf

test-tools:
	@command -v pdftotext >/dev/null || .ci/apt-install poppler-utils
# what only some users have: nbconvert's own templates convert with pandoc, and Chinese needs a font
	@command -v pandoc >/dev/null || .ci/apt-install pandoc
	@! command -v dpkg-query >/dev/null || dpkg-query -W fonts-droid-fallback >/dev/null 2>&1 \
		|| .ci/apt-install fonts-droid-fallback
# Ubuntu's package of this name is no browser, and the tests that want one say that they skip
	@command -v chromium >/dev/null || ! apt-cache show chromium 2>/dev/null | grep -q '^Depends:.*chromium-common' \
		|| .ci/apt-install chromium || true
