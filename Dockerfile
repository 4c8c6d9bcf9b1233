# docker build -t nestling .
# docker build -t nestling --build-arg EXTRAS=gpu,console .
# docker run --rm --read-only --publish 8000:8000 nestling
#
# docs/serving.md says what these install, how to choose another build of torch, and where the image writes.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/nestling
ENV PATH=/opt/nestling/bin:$PATH
WORKDIR /source
COPY constraints.txt ./
# EXTRAS: optional dependencies of pyproject.toml, with commas: cpu,console or gpu,console.
ARG EXTRAS="cpu,console"
# TORCH_INDEX: a package index beside pip's own, for another build of torch (another CUDA, CPU only).
ARG TORCH_INDEX=""
# torch, where it is wanted, first and alone: its layer is large and changes rarely.
RUN case ",$EXTRAS," in *,gpu,*|*,torch,*|*,train,*) \
        pip install --constraint constraints.txt \
            ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch ;; \
    esac
COPY pyproject.toml setup.py README.md LICENSE ./
COPY capacity capacity
COPY cli cli
COPY experiments experiments
COPY kernels kernels
COPY loadtest loadtest
COPY models models
COPY server server
RUN pip install --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:${PYTHON}-slim
ARG EXTRAS="cpu,console"
# At its first use Triton compiles, with the headers that Python's image has, what starts its kernels.
RUN case ",$EXTRAS," in *,gpu,*) \
        apt-get update \
        && apt-get install --yes --no-install-recommends gcc libc6-dev \
        && rm -rf /var/lib/apt/lists/* ;; \
    esac
# What is computed once (graphs, kernels, models from the Hub), and what must not be lost (experiments).
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/nestling nestling \
    && install --directory --owner=nestling --group=nestling /var/cache/nestling /var/lib/nestling
COPY --from=build /opt/nestling /opt/nestling
# A container is reached from outside, and its root file system may be read-only.
ENV PATH=/opt/nestling/bin:$PATH \
    NESTLING_HOST=0.0.0.0 \
    NESTLING_PORT=8000 \
    XDG_CACHE_HOME=/var/cache/nestling \
    TRITON_CACHE_DIR=/var/cache/nestling/triton \
    CUDA_CACHE_PATH=/var/cache/nestling/cuda \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="Nestling" \
      org.opencontainers.image.description="A model server for one nested checkpoint: the smallest student that is sure answers." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, for Kubernetes asks to see that it is not root.
USER 10001
WORKDIR /var/lib/nestling
VOLUME ["/var/cache/nestling", "/var/lib/nestling"]
EXPOSE 8000
STOPSIGNAL SIGTERM
# Asked where the server listens, without the proxy that an engine may have put into the environment.
# The period ends with the first success, and leaves time for a GPU's kernels to be compiled.
HEALTHCHECK --interval=10s --timeout=3s --start-period=600s \
    CMD ["python", "-c", "import os, sys, http.client as h; c = h.HTTPConnection(os.environ['NESTLING_HOST'], os.environ['NESTLING_PORT'], timeout=2); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["nestling"]
CMD ["serve"]
