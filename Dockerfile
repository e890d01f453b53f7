# A run as a service:
#   docker build --tag worldmodel .
#   docker run --rm --publish 127.0.0.1:8765:8765 --env WORLDMODEL_TOKEN=... --volume ./runs/rover:/run:ro worldmodel
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY worldmodel worldmodel
COPY sim sim
COPY datasets datasets
RUN python -m venv /opt/worldmodel && /opt/worldmodel/bin/pip install --no-cache-dir ".[serve]"

FROM python:3.12-slim
COPY --from=build /opt/worldmodel /opt/worldmodel
RUN useradd --create-home --uid 1000 worldmodel
USER worldmodel
ENV PATH=/opt/worldmodel/bin:$PATH
EXPOSE 8765
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/healthz', timeout=5)"]
# Not reached without WORLDMODEL_TOKEN: the container's address is no loopback.
ENTRYPOINT ["worldmodel", "serve", "/run", "--host", "0.0.0.0"]
