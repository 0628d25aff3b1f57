# AutoFlow, with what its reports need and the libraries that notebooks commonly import.
#
#   docker build -t autoflow .
#   docker build -t autoflow --build-arg BASE=docker.io/library/python:3.13-slim-trixie .
#
# BASE is a Debian or Ubuntu with Python 3.11 or newer, its venv and pip, as `python`.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
# hadolint ignore=DL3006
FROM ${BASE}

# asciidoctor-pdf makes the reports. tini reaps what notebooks leave behind and hands signals on.
# tzdata: the `timezone` of a schedule.
# The newest of the distribution is wanted, security fixes among it, so no versions:
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ruby-asciidoctor-pdf \
        tini \
        tzdata \
    && rm -rf /var/lib/apt/lists/*

# An environment of its own, whatever Python the base has. Bytecode is made here because nothing can write it
# later; the official Python images come without that of the standard library, and each notebook would pay for it.
ENV PATH=/opt/autoflow/bin:${PATH}
RUN python -m venv /opt/autoflow \
    && python -m compileall -q -x '/(test|tests|lib2to3|idlelib|site-packages|dist-packages)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

# The dependencies, before the source: they change rarely and are nearly all of the size. setup.cfg lists them, and
# nothing else of AutoFlow has a part in this layer.
WORKDIR /usr/src/autoflow
COPY setup.cfg config/constraints.txt ./
RUN python -c 'import configparser; setup = configparser.ConfigParser(); setup.read("setup.cfg"); \
        print(setup["options"]["install_requires"], setup["options.extras_require"]["examples"])' > /tmp/requirements.txt \
    && pip install --no-cache-dir --constraint constraints.txt --requirement /tmp/requirements.txt \
    && rm /tmp/requirements.txt constraints.txt

COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY autoflow autoflow
# It is given by its directory, which has no version to pin:
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --no-deps . \
    && rm -rf build ./*.egg-info

# Without a mount the outputs are lost with the container; they can be written by any user nevertheless.
RUN install --directory --mode=0755 /mounts/inputs \
    && install --directory --mode=1777 /mounts/outputs

# HOME: Jupyter, IPython and matplotlib keep caches there. /tmp can be written by any user, and is a tmpfs where the
# root file system is read-only. What must last (the record, the outputs) is all in /mounts/outputs.
# LANG: Python takes UTF-8 anyway; what notebooks start may not, and not every base says so.
ENV AUTOFLOW_INPUTS_DIR=/mounts/inputs \
    AUTOFLOW_OUTPUTS_DIR=/mounts/outputs \
    HOME=/tmp \
    LANG=C.UTF-8

# AUTOFLOW_HTTP=0.0.0.0:8080 serves a status page; the container's loopback is its own. Publish the port
# with care: there is no password.
#
# Not the outputs: Python would import what is left there.
WORKDIR /

# Any user will do (`--user 12345:0`) that can read the inputs and write the outputs.
USER 1000:1000

LABEL org.opencontainers.image.title="AutoFlow" \
      org.opencontainers.image.description="Runs workflows of Jupyter notebooks for each new date of FlowKit data" \
      org.opencontainers.image.licenses="MPL-2.0"

# AutoFlow ends its runs in order (AUTOFLOW_GRACE, 30 s): stop it with more patience than Docker's 10 s.
STOPSIGNAL SIGTERM
# Not --health: to start anew helps against what is stuck, not while FlowAPI is down.
# The answer comes from the daemon's loop itself: a process that exists but is stuck does not pass.
HEALTHCHECK --interval=60s --timeout=15s --start-period=30s --retries=3 CMD ["autoflow", "--alive"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "-P", "-m", "autoflow"]
