"""Who is compared, with the settings with which each does best on two cores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nestling.loadtest.client.protocols import PROTOCOLS, Protocol
from nestling.loadtest.errors import LoadtestError

FP32, INT8, BF16 = "fp32", "int8", "bf16"
CHECKPOINT, HUGGINGFACE, ONNX, ONNX_INT8 = "checkpoint", "huggingface", "onnx", "onnx-int8"
"""Forms of the model, all made of one checkpoint."""
DEFAULT, OURS = "nestling-default", "nestling"


@dataclass(frozen=True)
class Peer:
    """A server, and how it is asked.

    precision: of the largest model that it may ask. environment: name of its requirements, None
    for the one that this runs in. packages: of them, those whose versions are shown. form: of the
    model. command, variables: with `{bin}` (of its environment), `{apps}`, `{model}`, `{port}`.
    asked: what the protocol names as the model. settings: what was chosen, and why. needs: a flag
    of the processor without which it would not be what it is called.
    """

    name: str
    title: str
    precision: str
    environment: str | None
    packages: tuple[str, ...]
    form: str
    command: tuple[str, ...]
    protocol: Protocol
    settings: str
    asked: str = "auto"
    variables: Mapping[str, str] = field(default_factory=dict)
    needs: str | None = None

    @property
    def shown(self) -> str:
        """The command as one would type it, the places of this machine left open."""
        parts = [*(f"{name}={value}" for name, value in self.variables.items()), *self.command]
        places = {"apps": "servers", "model": "MODEL", "port": "PORT"}
        return " ".join(part.removeprefix("{bin}/").format_map(places) for part in parts)


CLASSIFY = Protocol("texts", "/classify", {"inputs": "$texts"}, "*.label")
PREDICT = Protocol("texts", "/predict", {"inputs": "$texts"}, "*.label")
ROOT = Protocol("texts", "/", {"inputs": "$texts"}, "*.label")
SERVE = ("{bin}/nestling", "serve", "{model}", "--port", "{port}")
INFINITY = (
    *("{bin}/infinity_emb", "v2", "--served-model-name", "ta", "--device", "cpu"),
    *("--host", "127.0.0.1", "--port", "{port}"),
)
UVICORN = (
    *("{bin}/uvicorn", "fastapi_app:app", "--app-dir", "{apps}", "--host", "127.0.0.1"),
    *("--port", "{port}", "--log-level", "warning"),
)

MLSERVER = Protocol(
    "mlserver",
    "/v2/models/$model/infer",
    {
        "inputs": [
            {"name": "array_inputs", "datatype": "BYTES", "shape": ["$count"], "data": "$texts"}
        ]
    },
    "outputs.0.data.*.json.label",
)


@dataclass(frozen=True)
class Way:
    """How a program around an engine takes requests, on two cores."""

    name: str
    title: str
    workers: int
    settings: str
    variables: Mapping[str, str]


WORKERS = "a process per core with one thread each: no operation waits for another core"
TOGETHER = "what waits while another batch is computed is the next one, of up to 32 texts"
OPENVINO = "; a stream per batch at a time, not pinned: processes do not agree on cores"
ALONE = Way("", "", 2, WORKERS, {})
BATCHES = Way("-batches", ", batches", 2, f"{WORKERS}; {TOGETHER}", {"MAX_BATCH": "32"})
ONE = Way(
    "-one",
    ", one process",
    1,
    f"one process, a batch per core at a time with one thread each; {TOGETHER}",
    {"MAX_BATCH": "32", "RUNS": "2"},
)


def _fastapi(
    name: str, title: str, precision: str, form: str, variables: Mapping[str, str],
    ways: Sequence[Way], settings: str = "", needs: str | None = None,
) -> Iterator[Peer]:  # fmt: skip
    engine = variables["ENGINE"]
    for way in ways:
        yield Peer(
            f"{name}{way.name}",
            f"{title}{way.title}",
            precision,
            "fastapi-openvino" if engine == "openvino" else "fastapi",
            ("fastapi", "uvicorn", engine),
            form,
            (*UVICORN, "--workers", str(way.workers)),
            CLASSIFY,
            f"{way.settings}{settings}",
            variables={"MODEL": "{model}", "THREADS": "1", **variables, **way.variables},
            needs=needs,
        )


SERVERS = (
    Peer(
        DEFAULT,
        "Nestling by default",
        INT8,
        None,
        ("nestling", "onnxruntime"),
        CHECKPOINT,
        SERVE,
        PROTOCOLS["native"],
        "none: the runner by rule, on a CPU whole processes, one per core",
    ),
    Peer(
        OURS,
        "Nestling, ONNX Runtime int8",
        INT8,
        None,
        ("nestling", "onnxruntime"),
        CHECKPOINT,
        (*SERVE, "--runner", "onnx-int8"),
        PROTOCOLS["native"],
        "defaults, so that the default cascade answers",
    ),
    Peer(
        "nestling-torch",
        "Nestling, torch",
        FP32,
        None,
        ("nestling", "torch"),
        CHECKPOINT,
        (*SERVE, "--runner", "torch"),
        PROTOCOLS["native"],
        "defaults, so that the default cascade answers",
    ),
    Peer(
        "infinity-torch",
        "Infinity, torch",
        FP32,
        "infinity",
        ("infinity-emb", "torch", "transformers", "optimum"),
        HUGGINGFACE,
        (*INFINITY, "--engine", "torch", "--model-id", "{model}"),
        PROTOCOLS["infinity"],
        "defaults: batches of 32, BetterTransformer, a thread per core",
        asked="ta",
    ),
    Peer(
        "infinity-onnx",
        "Infinity, optimum",
        FP32,
        "infinity-onnx",
        ("infinity-emb", "onnxruntime", "optimum"),
        ONNX,
        # Since optimum 2 it finds a local graph only from within the folder.
        (
            *("env", "--chdir", "{model}", *INFINITY, "--engine", "optimum", "--model-id", "."),
            *("--onnx-disable-optimize", "--no-model-warmup"),
        ),
        PROTOCOLS["infinity"],
        "defaults: batches of 32, a thread per core. Off: its optimization, which fails with this "
        "optimum (ONNX Runtime fuses by itself), and its warm-up, whose texts are too long",
        asked="ta",
    ),
    Peer(
        "litserve",
        "LitServe, transformers",
        FP32,
        "litserve",
        ("litserve", "torch", "transformers"),
        HUGGINGFACE,
        ("{bin}/python", "{apps}/litserve_app.py", "{model}", "{port}"),
        PREDICT,
        "batches of up to 32 requests, 5 ms; a worker per core with one thread each, so that no "
        "operation waits for another core",
        variables={"THREADS": "1", "WORKERS": "2"},
    ),
    *_fastapi(
        "fastapi-onnx",
        "FastAPI, ONNX Runtime",
        FP32,
        ONNX,
        {"ENGINE": "onnxruntime"},
        (ALONE, BATCHES, ONE),
    ),
    *_fastapi(
        "fastapi-onnx-int8",
        "FastAPI, ONNX Runtime int8",
        INT8,
        ONNX_INT8,
        {"ENGINE": "onnxruntime"},
        (ALONE, BATCHES, ONE),
    ),
    *_fastapi(
        "fastapi-openvino",
        "FastAPI, OpenVINO",
        FP32,
        ONNX,
        {"ENGINE": "openvino", "PRECISION": "f32"},
        (BATCHES, ONE),
        OPENVINO,
    ),
    *_fastapi(
        "fastapi-openvino-bf16",
        "FastAPI, OpenVINO bf16",
        BF16,
        ONNX,
        {"ENGINE": "openvino", "PRECISION": "bf16"},
        (BATCHES, ONE),
        OPENVINO,
        needs="avx512_bf16",
    ),
    Peer(
        "mlserver",
        "MLServer, transformers",
        FP32,
        "mlserver",
        ("mlserver", "mlserver-huggingface", "torch", "transformers"),
        HUGGINGFACE,
        ("{bin}/mlserver", "start", "{model}"),
        MLSERVER,
        "adaptive batches of up to 32 requests, 5 ms; a worker per core with one thread each, so "
        "that no operation waits for another core",
        asked="ta",
        variables={
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "0",
            "MLSERVER_METRICS_PORT": "0",
            "MLSERVER_DEBUG": "false",
            "MLSERVER_PARALLEL_WORKERS": "2",
            "MLSERVER_MODEL_NAME": "ta",
            "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_huggingface.HuggingFaceRuntime",
            "MLSERVER_MODEL_MAX_BATCH_SIZE": "32",
            "MLSERVER_MODEL_MAX_BATCH_TIME": "0.005",
            "MLSERVER_MODEL_HUGGINGFACE_TASK": "text-classification",
            "MLSERVER_MODEL_HUGGINGFACE_PRETRAINED_MODEL": "{model}",
            "MLSERVER_MODEL_HUGGINGFACE_FRAMEWORK": "pt",
            "MLSERVER_MODEL_HUGGINGFACE_INTRA_OP_THREADS": "1",
        },
    ),
    Peer(
        "ray",
        "Ray Serve, ONNX Runtime",
        FP32,
        "ray",
        ("ray", "onnxruntime"),
        ONNX,
        ("{bin}/python", "{apps}/ray_app.py", "{model}", "{port}"),
        ROOT,
        "`@serve.batch` of up to 32 requests, 5 ms; a replica per core with one thread each, so "
        "that no operation waits for another core; its settings for throughput, on one port",
        variables={
            "THREADS": "1",
            "REPLICAS": "2",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
        },
    ),
)


def chosen(names: str | None) -> tuple[Peer, ...]:
    """Those named, with commas between; all for None. Raises LoadtestError for an unknown name."""
    if names is None:
        return SERVERS
    known = {peer.name: peer for peer in SERVERS}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise LoadtestError(f"only: {name!r} is none of {', '.join(known)}")
    return tuple(peer for peer in SERVERS if peer.name in wanted)
