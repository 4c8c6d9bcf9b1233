"""A whole cascade in one mixed batch, against the full TA in `transformers`.

In a busy server's steady state a batch holds the new texts at the first stage beside those that
earlier batches passed on: at a measured mix of 70 / 20 / 10 % answered by the three stages, for
every new text 0.3 texts at the second stage and 0.1 at the third.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nestling.kernels.operations import operations_for
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer

from .clock import Clock

MIX = (1.0, 0.3, 0.1)
LABELS = 150


def shipped() -> Architecture:
    """The architecture of the checkpoint that ships with the product: MiniLM-L6."""
    return _bert(dim=384, layers=6, heads=12, ffn=1536)


def bert_base() -> Architecture:
    return _bert(dim=768, layers=12, heads=12, ffn=3072)


def _bert(dim: int, layers: int, heads: int, ffn: int) -> Architecture:
    return Architecture(
        family="bert",
        vocabulary=30522,
        dim=dim,
        layers=layers,
        heads=heads,
        head_dim=dim // heads,
        ffn=ffn,
        max_tokens=512,
        activation="gelu",
        norm_eps=1e-12,
        labels=tuple(str(i) for i in range(LABELS)),
    )


def stages(a: Architecture) -> tuple[StudentSpec, StudentSpec, StudentSpec]:
    """The TA's last layer alone, one layer more at a quarter of its FFN, and the TA."""
    last, middle = a.layers - 1, (a.layers - 1) // 2
    return (
        StudentSpec((last,), a.dim, (a.heads,), (a.ffn,)),
        StudentSpec((middle, last), a.dim, (a.heads,) * 2, (a.ffn // 4, a.ffn)),
        StudentSpec.full(a),
    )


def measure_cascade(
    clock: Clock, name: str, a: Architecture, texts: int, lengths: tuple[int, ...]
) -> dict[str, Any]:
    """Tokens per second of new texts. lengths: of the texts, repeated as often as needed."""
    cycle = [lengths[i % len(lengths)] for i in range(texts)]
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(5, a.vocabulary, (n,), generator=generator).tolist() for n in cycle]
    groups = [(ids[: round(share * texts)], s) for share, s in zip(MIX, stages(a), strict=True)]
    dtype = torch.bfloat16
    model = NestedTransformer(a, operations_for(clock.device)).to(clock.device, dtype)
    model.requires_grad_(False).eval()
    batch = PackedBatch.mixed(groups).to(clock.device)
    count = len(batch.layout.lengths)
    temperature, threshold = torch.ones(count), torch.full((count,), 0.5)
    temperature, threshold = temperature.to(clock.device), threshold.to(clock.device)
    gate = operations_for(clock.device).gate

    @torch.inference_mode()
    def cascade() -> object:
        return gate(model(batch), temperature, threshold)

    whole = PackedBatch.of(ids, stages(a)[-1]).to(clock.device)

    @torch.inference_mode()
    def alone() -> object:
        return model(whole)

    seconds = clock.seconds(
        {"cascade": cascade, "TA, ours": alone, "TA, transformers": _transformers(a, ids, clock)}
    )
    tokens = sum(cycle)
    return {
        "architecture": name,
        "texts": texts,
        "tokens": tokens,
        "tokens_per_second": {run: tokens / s for run, s in seconds.items()},
        "speedup": seconds["TA, transformers"] / seconds["cascade"],
    }


def _transformers(a: Architecture, ids: list[list[int]], clock: Clock) -> Any:
    """A compiled BertForSequenceClassification with SDPA, on texts padded to the longest."""
    import transformers

    config = transformers.BertConfig.from_dict(
        {
            "vocab_size": a.vocabulary,
            "hidden_size": a.dim,
            "num_hidden_layers": a.layers,
            "num_attention_heads": a.heads,
            "intermediate_size": a.ffn,
            "num_labels": LABELS,
            "attn_implementation": "sdpa",
        }
    )
    model: Any = transformers.BertForSequenceClassification(config)
    model = model.to(clock.device, torch.bfloat16).eval()
    longest = max(map(len, ids))
    tokens = torch.tensor([i + [0] * (longest - len(i)) for i in ids], device=clock.device)
    mask = (tokens != 0).long()
    compiled = torch.compile(model) if clock.device.type == "cuda" else model

    @torch.inference_mode()
    def run() -> Tensor:
        logits: Tensor = compiled(input_ids=tokens, attention_mask=mask).logits
        return logits

    for _ in range(3):  # compiles
        run()
    return run
