# One image, three commands: serve, worker, beat. The last stage has no compiler, no pip cache and no root.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/gateway
WORKDIR /src
COPY requirements.lock ./
RUN /opt/gateway/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY service service
COPY workers workers
COPY deploy/sandbox deploy/sandbox
RUN /opt/gateway/bin/pip install --no-deps .

FROM build AS sandbox-build
COPY deploy/sandbox/requirements.lock sandbox.lock
RUN /opt/gateway/bin/pip install --require-hashes -r sandbox.lock

FROM python:3.13-slim AS sandbox
COPY --from=sandbox-build /opt/gateway /opt/gateway
RUN useradd --system --uid 10001 gateway
USER 10001
EXPOSE 9080
ENTRYPOINT ["/opt/gateway/bin/python", "-m", "sandbox"]
CMD ["--host", "0.0.0.0", "--port", "9080"]

FROM python:3.13-slim AS gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1
COPY --from=build /opt/gateway /opt/gateway
RUN useradd --system --uid 10001 gateway
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["seedance-gateway"]
CMD ["serve", "--host", "0.0.0.0"]
