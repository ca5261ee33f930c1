# The CPU service: `docker build -f docker/service.Dockerfile -t yuyin .`
# Run it with keys, since it listens beyond loopback (it refuses to start without):
#   docker run -p 8000:8000 -v yuyin-store:/store -e YUYIN_KEYS='{"editor": {"sha256": "...", "scopes": ["recommend"]}}' yuyin
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY yuyin yuyin
COPY service service
COPY index_builder index_builder
COPY model model
RUN python -m venv /opt/yuyin \
 && python -m pip install --no-cache-dir "$(sed -n 's/^uv==\([0-9.]*\).*/uv==\1/p' constraints.txt)" \
 && VIRTUAL_ENV=/opt/yuyin uv pip install --no-cache --constraint constraints.txt '.[cpu]'

FROM python:3.13-slim
COPY --from=build /opt/yuyin /opt/yuyin
RUN useradd --system --uid 10001 yuyin && install -d -o yuyin /store
USER yuyin
ENV PATH=/opt/yuyin/bin:$PATH YUYIN_STORE=/store YUYIN_HOST=0.0.0.0 YUYIN_PORT=8000
VOLUME /store
EXPOSE 8000
HEALTHCHECK --start-period=20s CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=3)"
CMD ["yuyin", "serve"]
