# One image for the daemon (the default), its commands, and the generator (entrypoint logstream-generate).
#
#   docker build --tag logstreamd .
#   docker build --build-arg EXTRAS=tail,embedded --tag logstreamd:embedded .    brings its own PostgreSQL
#
# The tag of the base has no patch level: a build today has today's security fixes.

FROM python:3.13-slim-bookworm AS build

RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY logstreamd logstreamd
COPY generator generator

ARG EXTRAS=tail
RUN python -m venv /opt/logstreamd \
    && /opt/logstreamd/bin/pip install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]" \
    && /opt/logstreamd/bin/python -I -c "from logstreamd.wire import IMPLEMENTATION as it; assert it == 'compiled', it" \
    && /opt/logstreamd/bin/pip uninstall --yes --quiet pip \
    && rm -rf /opt/logstreamd/lib/python3.*/site-packages/pandas/tests


FROM python:3.13-slim-bookworm

LABEL org.opencontainers.image.title="logstreamd" \
      org.opencontainers.image.description="Receives syslog and JSON logs, stores them in PostgreSQL, and answers questions about them" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-bookworm"

# A volume that is mounted for the first time gets the owner of the directory that it covers.
RUN groupadd --gid 10001 logstreamd \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/logstreamd --shell /usr/sbin/nologin logstreamd \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/logstreamd \
    && install --directory --owner=10001 --group=10001 --mode=0755 /logs

COPY --from=build /opt/logstreamd /opt/logstreamd
COPY config/container.yaml /etc/logstreamd/logstreamd.yaml

ENV PATH=/opt/logstreamd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    LOGSTREAMD_STATE_DIR=/var/lib/logstreamd

USER 10001:10001
WORKDIR /var/lib/logstreamd
VOLUME /var/lib/logstreamd
EXPOSE 5514/udp 5514/tcp 8514/tcp
STOPSIGNAL SIGTERM

# The process lives: /health. Whether it can store is /ready, and no reason to start it anew.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-c", "import os, urllib.request as r; r.urlopen(os.environ.get('LOGSTREAMD_URL', 'http://127.0.0.1:8514') + '/health', timeout=4)"]

ENTRYPOINT ["logstreamd"]
CMD ["run"]
