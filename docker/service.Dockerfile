# The CPU service. Run it with docker/compose.yaml, or:
#   docker build -f docker/service.Dockerfile -t yuyin .
#   docker run --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -p 127.0.0.1:8000:8000 -v yuyin-store:/store \
#     -e YUYIN_KEYS='{"editor": {"sha256": "...", "scopes": ["recommend"]}}' yuyin
# A bundle of the profile paper reads its networks from /models: -v "$HOME/.cache/yuyin/models:/models:ro".
# It listens beyond loopback and therefore refuses to start without keys (`yuyin keys new` makes one).
#
# The base is pinned by tag. To pin its digest too, look it up where there is a network and pass it:
#   docker buildx imagetools inspect python:3.11-slim-bookworm
#   docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:<digest> ...
# Python 3.11 on Debian 12 is what the test suite runs on.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# To index with the profile paper: cpu,emobase. openSMILE is free for research and personal use only.
ARG EXTRAS=cpu
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY yuyin yuyin
COPY service service
COPY index_builder index_builder
COPY model model
# Every wheel, the build's own tools too, has to agree with a hash in constraints.txt.
RUN python -m venv /opt/tools \
 && awk '/^[a-z]/ {ours = /^uv==/} ours' constraints.txt > /opt/tools/uv.txt \
 && /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes --no-deps -r /opt/tools/uv.txt
RUN python -m venv --without-pip /opt/yuyin \
 && /opt/tools/bin/uv pip install --python /opt/yuyin/bin/python --no-cache --link-mode copy --compile-bytecode \
      --constraint constraints.txt --build-constraints constraints.txt --require-build-hashes ".[${EXTRAS}]" \
 && mkdir /store

FROM ${BASE}
LABEL org.opencontainers.image.title="YuYin" \
      org.opencontainers.image.description="Self-hosted music recommendation for video ads" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0 AND BSD-3-Clause"
COPY --from=build /opt/yuyin /opt/yuyin
COPY --from=build --chown=10001:10001 /store /store
# A number, so that an orchestrator can tell that it is not root; it needs no entry in /etc/passwd.
USER 10001:10001
# ONNX Runtime reports its use to its maker unless it is told not to before it starts.
ENV PATH=/opt/yuyin/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    YUYIN_STORE=/store \
    YUYIN_MODELS=/models \
    YUYIN_HOST=0.0.0.0 \
    YUYIN_PORT=8000
VOLUME /store
EXPOSE 8000
STOPSIGNAL SIGTERM
# /livez, not /readyz: an empty store is cured by an index, not by a restart. Asked without urllib, which
# would obey a proxy of the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-I", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['YUYIN_PORT']), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
CMD ["yuyin", "serve"]
