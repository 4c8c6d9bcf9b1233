"""Compiles every variant of every kernel that serving can meet, without a GPU, and says what each
takes of a card.

Usage: python -m benchmarks.kernels.variants [--processes N] [--only sm_90 …]

The variants are found by recording the launches of whole forwards: the shipped checkpoint (the
shape of MiniLM) and the shape of BERT-base, every choice of students, in batches of every class of
rows, in three dtypes. Results are kept by Triton's version and architecture in
docs/benchmarks/variants.json, which it writes anew after each architecture; the last line says the
totals.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import triton

from nestling.kernels.operations import triton_operations
from nestling.models.checkpoint.manifest import read_manifest
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer

from .recorder import Variant, recorded
from .resources import Resources, resources

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "models" / "zoo" / "clinc150"
RESULT = ROOT / "docs" / "benchmarks" / "variants.json"
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
META = torch.device("meta")
LENGTH = 3
"""Tokens of each text: few, so that a batch's last layer has rows of every class, too."""
TEXTS = tuple(2**i for i in range(15))
"""Of a batch: rows of each class, whether all go through a layer, a group, or one row of a text."""
TILE = ("ROWS", "COLUMNS", "DEPTH")

Model = tuple[Architecture, tuple[StudentSpec, ...]]


def models() -> dict[str, Model]:
    """Architectures and their students, by name."""
    shipped = read_manifest(SHIPPED)
    base = replace(
        shipped.architecture, dim=768, layers=12, attention_heads=12, head_dim=64, ffn=3072
    )
    return {
        "clinc150": (
            shipped.architecture,
            tuple(student.spec for student in shipped.students.values()),
        ),
        "BERT-base": (
            base,
            (
                StudentSpec((11,), 768, (12,), (3072,)),
                StudentSpec((5, 11), 384, (6, 6), (768, 1536)),
                StudentSpec.full(base),
            ),
        ),
    }


def variants(
    architecture: str, dtypes: Sequence[str] = tuple(DTYPES), names: Sequence[str] = ()
) -> list[Variant]:
    """What a card of that architecture compiles to serve the models.

    dtypes: of DTYPES. names: of `models()`; all if none. Needs a process in which Triton was
    imported without its interpreter.
    """
    found: dict[Variant, None] = {}
    for name, (a, students) in models().items():
        if names and name not in names:
            continue
        for dtype in dtypes:
            with META:
                model = NestedTransformer(a, triton_operations())
            model.to(DTYPES[dtype]).requires_grad_(False).eval()
            for among in _choices(students):
                for texts in TEXTS:
                    found |= dict.fromkeys(_met(architecture, model, among, texts))
    return list(found)


def _choices(students: Sequence[StudentSpec]) -> Iterator[tuple[StudentSpec, ...]]:
    """Those that a batch may hold: the widest of them chooses the tiles, so all matter."""
    for count in range(1, len(students) + 1):
        yield from combinations(students, count)


@torch.inference_mode()
def _met(
    architecture: str, model: NestedTransformer, students: Sequence[StudentSpec], texts: int
) -> Iterator[Variant]:
    each = max(1, texts // len(students))
    batch = PackedBatch.mixed([([[5] * LENGTH] * each, student) for student in students])
    gate = triton_operations().gate
    with recorded(architecture) as launches, _without_flash():
        logits = model(batch.to(META))
        of_row = torch.empty(len(logits), device=META)
        gate(logits, of_row, of_row, of_row, of_row)
    return (launch.variant for launch in launches)


@contextmanager
def _without_flash() -> Iterator[None]:
    """Attention that torch does, which no tensor without contents can go through."""
    with patch.object(
        import_module("nestling.kernels.attention.varlen"),
        "varlen_attn",
        lambda q, *_, **__: torch.empty_like(q),
    ):
        yield


def measured(variant: Variant, architecture: str) -> tuple[Resources, float]:
    """What it takes, and the seconds that it took to compile."""
    started = time.perf_counter()
    compiled = variant.compile(architecture)
    seconds = time.perf_counter() - started
    return resources(compiled), seconds


def described(variant: Variant) -> dict[str, Any]:
    """What tells it from others of its kernel: short, for a table."""
    constants = {
        name: variant.named(name)
        for name, kind in variant.signature
        if kind == "constexpr" and name != "BAND"
    }
    tile = [constants.pop(name) for name in TILE if name in constants]
    types = Counter(kind for _, kind in variant.signature if kind in ("*bf16", "*fp16", "*fp32"))
    return {
        "kernel": variant.kernel.partition(":")[2].removesuffix("_kernel"),
        "dtype": next((each for each in ("bf16", "fp16") if f"*{each}" in types), "fp32"),
        "tile": "×".join(map(str, tile)),
        "warps": dict(variant.options)["num_warps"],
        "stages": dict(variant.options)["num_stages"],
        "constants": " ".join(
            f"{name.lower()}={value:.4g}" if isinstance(value, float) else f"{name.lower()}={value}"
            for name, value in constants.items()
        ),
        "unaligned": " ".join(
            name
            for index, (name, kind) in enumerate(variant.signature)
            if kind[0] == "*" and not dict(variant.attributes).get((index,))
        ),
    }


def compile_all(architecture: str, processes: int) -> list[dict[str, Any]]:
    """A row for each variant, printed as it comes."""
    found = variants(architecture)
    print(f"{architecture}: {len(found)} variants", flush=True)
    spawn = multiprocessing.get_context("spawn")
    rows = []
    with ProcessPoolExecutor(processes, spawn) as pool:
        jobs: dict[Future[tuple[Resources, float]], Variant] = {
            pool.submit(measured, variant, architecture): variant for variant in found
        }
        for job in as_completed(jobs):
            taken, seconds = job.result()
            row = described(jobs[job]) | asdict(taken) | {"seconds": round(seconds, 2)}
            rows.append(row)
            print(json.dumps(row, ensure_ascii=False), flush=True)
    return sorted(rows, key=lambda r: (r["kernel"], r["dtype"], r["tile"], r["constants"]))


def totals(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a first start compiles, and the worst of each resource."""
    slowest = max(rows, key=lambda row: row["seconds"])
    return {
        "variants": len(rows),
        "by_kernel": dict(sorted(Counter(row["kernel"] for row in rows).items())),
        "with_local_memory": sum(row["local"] > 0 for row in rows),
        "most_registers": max(row["registers"] for row in rows),
        "most_shared": max(row["shared"] for row in rows),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "slowest": {name: slowest[name] for name in ("kernel", "dtype", "tile", "seconds")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=ARCHITECTURES, default=ARCHITECTURES)
    given = parser.parse_args()
    kept = json.loads(RESULT.read_text("utf-8"))["triton"] if RESULT.exists() else {}
    by_architecture = kept.setdefault(triton.__version__, {})
    for architecture in given.only:
        rows = compile_all(architecture, given.processes)
        by_architecture[architecture] = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "torch": torch.__version__,
            "machine": f"{platform.machine()}, {given.processes} processes",
            "totals": totals(rows),
            "variants": rows,
        }
        RESULT.write_text(written({"benchmark": "variants", "triton": kept}), "utf-8")
    summary = {name: each["totals"] for name, each in by_architecture.items()}
    print(json.dumps({"benchmark": "variants", "triton": triton.__version__, "totals": summary}))


def written(result: dict[str, Any]) -> str:
    """JSON with a line for each variant."""
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    return text.replace('{"kernel"', '\n{"kernel"') + "\n"


if __name__ == "__main__":
    main()
