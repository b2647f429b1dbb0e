# One image, three commands: serve, worker, beat. The last stages have no compiler, no package installer of their own and no
# root, and write nowhere: run them with a read-only root file system. Everything installed is checked against a hash.
# A published image is built with a digest: --build-arg BASE=python:3.13-slim@sha256:... (docs/how-to/verify.md).
ARG BASE=python:3.13-slim
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /opt/gateway && python -m venv /opt/build
WORKDIR /src
COPY requirements.lock deploy/build.lock ./
# The extra `otel` is in it: tracing is then a matter of OTEL_* alone. Unasked it costs 2 MB and traces nothing.
RUN pip --python /opt/gateway/bin/python install --require-hashes -r requirements.lock
RUN /opt/build/bin/pip install --require-hashes -r build.lock
COPY pyproject.toml README.md LICENSE ./
COPY docs docs
COPY service service
COPY workers workers
COPY deploy/sandbox deploy/sandbox
COPY deploy/build_hook.py deploy/build_hook.py
# docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD): --version, the logs and gateway_build_info show it.
ARG COMMIT=unknown
RUN GATEWAY_COMMIT=$COMMIT /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /src/dist . \
    && pip --python /opt/gateway/bin/python install --no-deps --no-index /src/dist/*.whl

FROM build AS sandbox-build
COPY deploy/sandbox/requirements.lock sandbox.lock
RUN pip --python /opt/gateway/bin/python install --require-hashes -r sandbox.lock

FROM ${BASE} AS sandbox
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=sandbox-build /opt/gateway /opt/gateway
RUN useradd --system --uid 10001 gateway
USER 10001
EXPOSE 9080
ENTRYPOINT ["/opt/gateway/bin/python", "-m", "sandbox"]
CMD ["--host", "0.0.0.0", "--port", "9080"]

FROM ${BASE} AS gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/gateway /opt/gateway
RUN useradd --system --uid 10001 gateway
USER 10001
EXPOSE 8080 9100
# For serve; worker and beat have /healthz at GATEWAY_METRICS_PORT instead, where that is set.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["seedance-gateway"]
CMD ["serve", "--host", "0.0.0.0"]
