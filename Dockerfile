# docker build -t nestling .
# docker build -t nestling --build-arg EXTRAS=console,gpu .
# docker run --rm --read-only --publish 8000:8000 nestling
#
# docs/serving.md says which torch these install, and how to have a smaller one.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
# TORCH_INDEX: a package index beside pip's own, for another build of torch (CPU only, another CUDA).
ARG TORCH_INDEX=""
# EXTRAS: optional dependencies of pyproject.toml, with commas: console,gpu.
ARG EXTRAS="console"
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/nestling
ENV PATH=/opt/nestling/bin:$PATH
WORKDIR /source
COPY pyproject.toml setup.py constraints.txt ./
# torch first and alone: its layer is large and changes rarely.
RUN pip install --constraint constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch
COPY README.md LICENSE ./
COPY cli cli
COPY kernels kernels
COPY loadtest loadtest
COPY models models
COPY planning planning
COPY server server
RUN pip install --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:${PYTHON}-slim
RUN useradd --create-home --uid 10001 nestling
COPY --from=build /opt/nestling /opt/nestling
# A container is reached from outside, and its root file system may be read-only.
ENV PATH=/opt/nestling/bin:$PATH \
    NESTLING_HOST=0.0.0.0 \
    NESTLING_PORT=8000 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER nestling
WORKDIR /home/nestling
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['NESTLING_PORT'] + '/health', timeout=2)"]
ENTRYPOINT ["nestling"]
CMD ["serve"]
