# The service by default, and any other command of Synth on request; how to build and run it: docs/docker.md.
ARG BASE=python:3.12-slim

FROM ${BASE} AS python
# CUDA's images come without a Python; an image that has one keeps it.
RUN command -v python3 || (apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*)

FROM python AS build
# Wheels for CPUs; those of https://pypi.org/simple bring CUDA along.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY requirements.txt ./
# Without "-e .", as the image holds Synth itself and no link to its source; and without extras, as constraints have none.
RUN python3 -m venv /opt/synth && sed -e '/^-e/d' -e 's/\[.*\]//' requirements.txt > pins.txt
RUN /opt/synth/bin/pip install --no-cache-dir --no-deps --index-url "$TORCH_INDEX" "$(grep '^torch==' pins.txt)" \
    && /opt/synth/bin/pip install --no-cache-dir --requirement pins.txt
COPY pyproject.toml README.md LICENSE ./
COPY notebooks notebooks
COPY synth synth
RUN /opt/synth/bin/pip install --no-cache-dir --constraint pins.txt ".[serve,page]"

FROM python
LABEL org.opencontainers.image.title="Synth" \
      org.opencontainers.image.description="A phrase becomes prompts (GPT-2) and pictures (Stable Diffusion), over HTTP." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/synth /opt/synth
# Nothing is fetched and nobody is told. All that libraries cache goes to /tmp, so that the rest can be read-only.
ENV PATH=/opt/synth/bin:$PATH \
    HOME=/tmp \
    USER=synth \
    HF_HOME=/data/hub \
    HF_HUB_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    STREAMLIT_BROWSER_GATHER_USAGE_STATS=false \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Any user may write here, so that `--user` may name another one.
RUN mkdir --mode=1777 /data
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8000 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["synth"]
CMD ["serve", "--host", "0.0.0.0", "--keys", "/run/secrets/keys"]
