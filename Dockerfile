# One image for every command: `docker run outbound worker`, `scheduler`, `web`, `migrate`, `demo`, `up` …
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/outbound
# What changes seldom comes first: the dependencies keep their layer while the code changes.  Nothing is installed whose
# hash is not in a lock, not even what makes the wheel.
COPY requirements.lock requirements-build.lock ./
RUN pip --python /opt/outbound/bin/python install --no-cache-dir --disable-pip-version-check \
       --require-hashes -r requirements.lock \
    && pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY outbound outbound
COPY sql sql
COPY ops/demo ops/demo
COPY ops/systemd ops/systemd
COPY ops/openapi.json ops/openapi.json
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/outbound/bin/python install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl

FROM python:3.12-slim
# A user without rights, and a data directory that is its own: nothing else is written to.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/outbound outbound \
    && install --directory --owner=outbound --group=outbound --mode=0700 /var/lib/outbound
COPY --from=build /opt/outbound /opt/outbound
ENV PATH=/opt/outbound/bin:$PATH OUTBOUND_DATA_DIR=/var/lib/outbound PYTHONFAULTHANDLER=1
USER 10001:10001
WORKDIR /var/lib/outbound
VOLUME /var/lib/outbound
EXPOSE 8080
# For `web`, which answers also while the database is away: what restarts sick containers must not restart it then.
# Worker and scheduler serve no HTTP: give them `outbound ready`, as ops/compose.yaml does, or none.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ.get('OUTBOUND_WEB_PORT', '8080') + '/healthz', timeout=4)"]
ENTRYPOINT ["outbound"]
CMD ["web"]
