# syntax: any Dockerfile builder, BuildKit or not
# AutoFlow with what makes reports of notebooks. Build: docker build -t autoflow .
# The base may be another Debian-based Python image: --build-arg BASE=...
ARG BASE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE}

# Layers that change rarely come first: system packages, then libraries, then AutoFlow itself.
# tini is process 1: it reaps what notebooks leave behind, and passes signals on.
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
        fonts-dejavu-core pandoc ruby-asciidoctor-pdf tini \
    && rm -rf /var/lib/apt/lists/*

ENV PATH=/opt/autoflow/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/autoflow

# The libraries alone, from the metadata and an empty package: this layer lasts until setup.cfg changes.
WORKDIR /usr/src/autoflow
COPY setup.cfg pyproject.toml LICENSE ./
RUN mkdir -p autoflow/child config \
    && echo '__version__ = "0"' > autoflow/__init__.py \
    && touch README.md autoflow/child/__init__.py \
    && pip install --quiet .[examples] \
    && pip uninstall --quiet --yes autoflow \
    && rm -rf build *.egg-info

COPY README.md ./
COPY config config
COPY autoflow autoflow
RUN pip install --quiet --no-deps . \
    && rm -rf build *.egg-info

# Inputs are read, outputs and the record are written; both are to be mounted.
ENV AUTOFLOW_INPUTS_DIR=/mounts/inputs \
    AUTOFLOW_OUTPUTS_DIR=/mounts/outputs \
    HOME=/nonexistent
RUN mkdir -p /mounts/inputs /mounts/outputs && chmod 1777 /mounts/outputs
WORKDIR /

# Any user id will do, as long as it may write to the outputs: docker run --user $(id -u):$(id -g)
USER 10001:0
STOPSIGNAL SIGTERM
# the daemon's own loop answers, or it is not well
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s --retries=3 CMD ["autoflow", "--health"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "autoflow"]
