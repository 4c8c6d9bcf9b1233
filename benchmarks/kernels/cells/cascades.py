"""A whole cascade in one mixed batch, against the full TA.

In a busy server's steady state a batch holds the new texts at the first stage beside those that
earlier batches passed on: at a measured mix of 70 / 20 / 10 % answered by the three stages, for
every new text 0.3 texts at the second stage and 0.1 at the third.

Beside the cascade: the same model and batch on torch's operations, which is cuBLAS per group; the
TA alone on our kernels; and the TA in `transformers`, compiled, on texts padded to the longest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from nestling.kernels.gate.codes import MARGIN
from nestling.kernels.operations import REFERENCE, Operations
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.head_spec import DEFAULT_HEAD, HeadSpec
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer

from ..clock import Clock, Timed
from ..devices import Random, operations_on
from ..record import Named, Row
from ..shapes import Shapes, half
from .row import OURS

MIX = (1.0, 0.3, 0.1)
LABELS = 150
GROUPS, ALONE, PADDED = "cuBLAS per group", "TA alone, ours", "TA, transformers, compiled"


def architectures(small: bool) -> dict[str, Architecture]:
    """MiniLM-L6, which the shipped checkpoint is, and BERT-base; for a rehearsal a tiny one."""
    if small:
        return {"tiny": replace(_bert(dim=32, layers=2, heads=2, ffn=64), vocabulary=50)}
    return {
        "MiniLM": _bert(dim=384, layers=6, heads=12, ffn=1536),
        "BERT-base": _bert(dim=768, layers=12, heads=12, ffn=3072),
    }


def _bert(dim: int, layers: int, heads: int, ffn: int) -> Architecture:
    return Architecture(
        family="bert",
        vocabulary=30522,
        dim=dim,
        layers=layers,
        attention_heads=heads,
        head_dim=dim // heads,
        ffn=ffn,
        max_tokens=512,
        activation="gelu",
        norm_eps=1e-12,
        heads=(HeadSpec(DEFAULT_HEAD, "single_label", tuple(map(str, range(LABELS)))),),
    )


def stages(a: Architecture) -> tuple[StudentSpec, StudentSpec, StudentSpec]:
    """The TA's last layer alone, one layer more at a quarter of its FFN, and the TA."""
    last, middle = a.layers - 1, (a.layers - 1) // 2
    return (
        StudentSpec((last,), a.dim, (a.attention_heads,), (a.ffn,)),
        StudentSpec((middle, last), a.dim, (a.attention_heads,) * 2, (a.ffn // 4, a.ffn)),
        StudentSpec.full(a),
    )


def random_model(
    a: Architecture, operations: Operations, device: torch.device, dtype: torch.dtype
) -> NestedTransformer:
    """Weights of 0.05 about 0, norms about 1: the same each time on a device."""
    with torch.device("meta"):
        model = NestedTransformer(a, operations)
    model = model.to(dtype).to_empty(device=device).requires_grad_(False).eval()
    random = Random(device)
    for name, parameter in model.named_parameters():
        parameter.copy_(random.normal(*parameter.shape, dtype=dtype).mul_(0.05))
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1)
    return model


def texts_of(a: Architecture, count: int, lengths: tuple[int, ...]) -> list[list[int]]:
    """Token ids. lengths: repeated as often as needed."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(5, a.vocabulary, (lengths[i % len(lengths)],), generator=generator).tolist()
        for i in range(count)
    ]


def mixed(a: Architecture, ids: list[list[int]]) -> PackedBatch:
    """The new texts at the first stage, and of each later stage its share."""
    shares = zip(MIX, stages(a), strict=True)
    return PackedBatch.mixed([(ids[: max(1, round(m * len(ids)))], s) for m, s in shares])


def cells(clock: Clock, shapes: Shapes) -> list[Named]:
    """By architecture and texts: at first without the rival that takes long to compile."""
    return ours_alone(clock, shapes) + _each(against_transformers, clock, shapes)


def ours_alone(clock: Clock, shapes: Shapes) -> list[Named]:
    """Those cells without `transformers`."""
    return _each(cascade, clock, shapes)


def _each(run: Callable[..., Row], clock: Clock, shapes: Shapes) -> list[Named]:
    return [
        (
            f"{name}, {texts} texts of up to {max(lengths)}",
            partial(run, clock, name, a, texts, lengths),
        )
        for name, a in architectures(clock.device.type == "cpu").items()
        for texts, lengths in shapes.forwards
    ]


def cascade(clock: Clock, name: str, a: Architecture, texts: int, lengths: tuple[int, ...]) -> Row:
    """Ours, cuBLAS per group, and the TA alone: as a server launches them, and in a graph."""
    ids, dtype = texts_of(a, texts, lengths), half()
    ours = random_model(a, operations_on(clock.device), clock.device, dtype)
    batch, whole = mixed(a, ids), PackedBatch.of(ids, stages(a)[-1])
    model = random_model(a, REFERENCE, clock.device, dtype)
    runs = {
        OURS: answering(ours, batch, clock.device),
        GROUPS: answering(model, batch, clock.device),
        ALONE: answering(ours, whole, clock.device),
    }
    return row(name, texts, sum(map(len, ids)), clock, runs)


def answering(
    model: NestedTransformer, batch: PackedBatch, device: torch.device
) -> Callable[[], object]:
    """The model's forward and its gate on a batch that lies on the device."""
    placed = batch.to(device)
    count = len(batch.layout.lengths)
    temperature = torch.ones(count, device=device)
    threshold = torch.full_like(temperature, 0.5)
    by, scope = torch.full_like(temperature, MARGIN), torch.zeros_like(temperature)
    gate = operations_on(device).gate
    students = [model.student(spec) for spec in batch.students]

    @torch.inference_mode()
    def run() -> object:
        return gate(model(placed, students=students), temperature, threshold, by, scope)

    return run


def against_transformers(
    clock: Clock, name: str, a: Architecture, texts: int, lengths: tuple[int, ...]
) -> Row:
    """Ours beside the TA in `transformers`, padded and compiled."""
    ids = texts_of(a, texts, lengths)
    ours = random_model(a, operations_on(clock.device), clock.device, half())
    runs = {
        OURS: answering(ours, mixed(a, ids), clock.device),
        PADDED: padded(a, ids, clock.device),
    }
    return row(name, texts, sum(map(len, ids)), clock, runs)


def padded(a: Architecture, ids: list[list[int]], device: torch.device) -> Callable[[], object]:
    """A BertForSequenceClassification with SDPA, on texts padded to the longest; compiled on CUDA,
    for these very shapes.
    """
    import transformers

    config = transformers.BertConfig.from_dict(
        {
            "vocab_size": a.vocabulary,
            "hidden_size": a.dim,
            "num_hidden_layers": a.layers,
            "num_attention_heads": a.attention_heads,
            "intermediate_size": a.ffn,
            "num_labels": LABELS,
            "attn_implementation": "sdpa",
        }
    )
    model: nn.Module = transformers.BertForSequenceClassification(config)
    model = model.to(device, half()).eval()
    longest = max(map(len, ids))
    tokens = torch.tensor([i + [0] * (longest - len(i)) for i in ids], device=device)
    mask = (tokens != 0).long()
    compiled = torch.compile(model, dynamic=False) if device.type == "cuda" else model

    @torch.inference_mode()
    def run() -> object:
        return compiled(input_ids=tokens, attention_mask=mask).logits

    return run


def row(
    name: str, texts: int, tokens: int, clock: Clock, runs: dict[str, Callable[[], object]]
) -> Row:
    """Tokens of new texts per second. A server launches as in `launched`; `graph` leaves out what
    the host takes. A run that cannot be captured has no number in `graph`, and that is no failure,
    for the server captures nothing.
    """
    launched = clock.back_to_back(runs)
    graph = clock.compare({run: partial(_call, call) for run, call in runs.items()})
    found: Row = {
        "architecture": name,
        "texts": texts,
        "tokens": tokens,
        "launched": _judged(launched, tokens),
        "graph": _judged(graph, tokens),
    }
    if launched.errors:
        found |= {"passed": False, "error": launched.errors, "bound": "being timed"}
    return found


def _call(run: Callable[[], object], _: int) -> object:
    return run()


def _judged(timed: Timed, tokens: int) -> Row:
    """speedup: of ours to each of the others."""
    speeds = {name: tokens / t.median for name, t in timed.timings.items()}
    ours = timed.timings.get(OURS)
    others = {name: t for name, t in timed.timings.items() if name != OURS}
    speedups = {name: t.median / ours.median for name, t in others.items()} if ours else {}
    return {**timed.as_json(), "tokens_per_second": speeds, "speedup": speedups}
