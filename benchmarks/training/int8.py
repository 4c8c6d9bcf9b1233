"""The cascade in int8: accuracy, risk and FLOPs beside float32, and what neighbours change.

    python -m benchmarks.training.int8 --data test.jsonl [--checkpoint DIR]

Calibrate first: `nestling calibrate DIR --data validation.jsonl --runner onnx-int8`. Accuracy, risk
and FLOPs are of all texts of the data, by the cascade that answers `auto` for each runner, in
batches by length. A route is which students answer and accept; it is compared between texts asked
alone and in those batches, for int8 as it is and for ONNX Runtime's own dynamic quantisation, which
has one scale for a whole batch, on the first `--alone` texts. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import onnx
import torch

from nestling.cli.columns import PAIR, TEXT, columns_for
from nestling.models import Cascade, Checkpoint, Decision, Predictor, load_checkpoint
from nestling.models.checkpoint.manifest import calibrated_for
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import read_labelled
from nestling.models.inputs.text import Text
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.spec import StudentSpec
from nestling.models.precision import INT8, Precision
from nestling.models.runners.base import ModelRunner
from nestling.models.runners.onnx import bundle
from nestling.models.runners.onnx.graph import build_graph
from nestling.models.runners.onnx.runner import OnnxRunner
from nestling.models.runners.onnx.weights import Weights
from nestling.models.runners.torch import TorchRunner

SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--alone", type=int, default=4500)
    given = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(given.checkpoint)
    rounded = calibrated_for(checkpoint, "int8")
    labelled = read_labelled(given.data, columns_for(checkpoint, TEXT, PAIR))
    truth = answers_in(labelled, checkpoint.architecture.head(), given.data)
    rows = OnnxRunner(rounded, "int8", threads=1)
    policies: dict[str, Any] = {}
    exact = TorchRunner(checkpoint)
    kept = answers(Predictor(checkpoint, "ta", exact).predict(labelled.texts))
    for name, served, by in (("float32", checkpoint, exact), (INT8, rounded, rows)):
        for policy in (*served.cascades, "ta"):
            decisions = Predictor(served, policy, by).predict(labelled.texts)
            policies[f"{name} {policy}"] = measured(served.policy(policy), decisions, kept, truth)
    texts = labelled.texts[: given.alone]
    neighbours = {
        "one scale per row": changed(rounded, rows, texts),
        "one scale per batch": changed(rounded, per_batch(rounded), texts),
    }
    print(
        json.dumps(
            {
                "benchmark": "int8",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{cpu()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("nestling", "torch", "onnxruntime")},
                "data": {"file": given.data.name, "sha256": labelled.sha256, "texts": len(truth)},
                "policies": policies,
                "alone_against_batched": {"texts": len(texts), **neighbours},
            }
        )
    )


def measured(
    cascade: Cascade, decisions: Sequence[Decision], kept: Sequence[int], truth: Sequence[int]
) -> dict[str, float | None]:
    """Rates over the texts. kept: what the TA answers in float32. risk: of being wrong where that
    is right, which cascades promise to bound.
    """
    found, guarantee = answers(decisions), cascade.guarantee
    lost = [a != t and b == t for a, b, t in zip(found, kept, truth, strict=True)]
    return {
        "accuracy": rate([a == t for a, t in zip(found, truth, strict=True)]),
        "risk": rate(lost),
        "promised": guarantee.alpha if guarantee else None,
        "relative_flops": round(sum(d.relative_cost for d in decisions) / len(decisions), 5),
        "reach_the_ta": rate([d.answer.stage.student.name == "ta" for d in decisions]),
    }


def answers(decisions: Sequence[Decision]) -> list[int]:
    return [decision.answer.label for decision in decisions]


def changed(checkpoint: Checkpoint, by: ModelRunner, texts: Sequence[Text]) -> dict[str, float]:
    """What differs between texts asked alone and in batches: shares, and confidences' distance."""
    predictor = Predictor(checkpoint, runner=by)
    together = predictor.predict(texts)
    alone = [predictor.predict([text])[0] for text in texts]
    pairs = list(zip(together, alone, strict=True))
    apart = torch.tensor(
        [abs(a.steps[0].confidence - b.steps[0].confidence) for a, b in pairs]
    ).sort()[0]
    return {
        "other_route": rate([route(a) != route(b) for a, b in pairs]),
        "other_label": rate([a.answer.label != b.answer.label for a, b in pairs]),
        "first_confidence_apart_p99": float(f"{apart[int(0.99 * len(apart))]:.2g}"),
        "first_confidence_apart_largest": float(f"{apart[-1]:.2g}"),
    }


def route(decision: Decision) -> list[tuple[str, bool]]:
    return [(step.stage.student.name, step.accepted) for step in decision.steps]


def per_batch(checkpoint: Checkpoint) -> OnnxRunner:
    """The same students, as ONNX Runtime itself quantises them."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def whole(
        architecture: Architecture, weights: Weights, spec: StudentSpec, _: Precision
    ) -> onnx.ModelProto:
        model = build_graph(architecture, weights, spec)
        stacks = {weight.name for weight in model.graph.initializer if len(weight.dims) > 2}
        exact = [node.name for node in model.graph.node if stacks.intersection(node.input)]
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
            onnx.save(model, source)
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=exact,
            )
            return onnx.load(target)

    with (
        tempfile.TemporaryDirectory() as cache,
        patch.dict(os.environ, XDG_CACHE_HOME=cache),
        patch.object(bundle, "build_graph", whole),
    ):
        return OnnxRunner(checkpoint, "int8", threads=1)


def rate(found: Sequence[bool]) -> float:
    return round(sum(found) / len(found), 5)


def cpu() -> str:
    """Whether products of 8-bit integers are exact depends on it."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text("utf-8") if info.exists() else ""
    vnni = next((flag for flag in ("avx512_vnni", "avx_vnni") if flag in flags), "no VNNI")
    return f"{platform.machine()}, {vnni}"


if __name__ == "__main__":
    main()
