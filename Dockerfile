# Deepscreen with CUDA, weights baked in. Build:  docker build -t deepscreen .
# CPU only: docker build --build-arg CUDA_IMAGE=ubuntu:24.04 --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .
#
# PyTorch's wheels bring cuBLAS, cuDNN and the rest, so the base image is the one with the CUDA runtime alone. It is
# pinned by tag: a digest would be firmer, but ours could not be checked against the registry when this was written. To
# pin it, take the digest from `docker buildx imagetools inspect` and give it as CUDA_IMAGE=name@sha256:...
ARG CUDA_IMAGE=nvidia/cuda:13.0.2-base-ubuntu24.04

FROM ${CUDA_IMAGE} AS build
ARG TORCH_INDEX=
ENV DEBIAN_FRONTEND=noninteractive \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/deepscreen/venv
WORKDIR /src
# The big packages first: this layer stays in the cache while the sources change.
COPY constraints.txt ./
RUN /opt/deepscreen/venv/bin/pip install -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchvision
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
COPY weights weights
RUN /opt/deepscreen/venv/bin/pip install -c constraints.txt '.[s3]'
RUN DEEPSCREEN_WEIGHTS_CACHE=/opt/deepscreen/weights /opt/deepscreen/venv/bin/deepscreen weights pull

FROM ${CUDA_IMAGE} AS runtime
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 libgl1 libglib2.0-0 libxcb1 \
        bubblewrap libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 deepscreen \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin deepscreen \
    && install -d -o deepscreen -g deepscreen -m 0700 /data /blobs
COPY --from=build /opt/deepscreen /opt/deepscreen
# The root file system may be read-only: only /tmp and /data are written to. librosa's compiled functions are cached
# where NUMBA_CACHE_DIR says.
ENV PATH=/opt/deepscreen/venv/bin:$PATH \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEEPSCREEN_WEIGHTS_CACHE=/opt/deepscreen/weights \
    DEEPSCREEN_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8321
# Alone, the service listens on the container's loopback only; compose.yaml opens it to a port on the host's loopback.
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=4 \
    CMD ["/opt/deepscreen/venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/livez', timeout=4)"]
ENTRYPOINT ["/opt/deepscreen/venv/bin/deepscreen"]
CMD ["serve"]
