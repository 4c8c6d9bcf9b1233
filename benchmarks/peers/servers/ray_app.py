"""A classifier with ONNX Runtime behind Ray Serve, with `@serve.batch`: https://docs.ray.io.

THREADS=1 REPLICAS=2 python ray_app.py MODEL PORT
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import ray
from ray import serve
from starlette.requests import Request
from tokenizers import Tokenizer

MODEL, PORT = Path(sys.argv[1]), int(sys.argv[2])
THREADS, REPLICAS = int(os.environ["THREADS"]), int(os.environ["REPLICAS"])
MAX_BATCH = 32
"""Requests, each of one text or of several."""
TIMEOUT = 0.005
"""Seconds that a batch waits to be full."""


@serve.deployment(num_replicas=REPLICAS, max_ongoing_requests=256)
class Classifier:
    """Lists of texts in, lists of labels and scores out."""

    def __init__(self, folder: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.wanted = {each.name for each in self.session.get_inputs()}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_padding()
        self.tokenizer.enable_truncation(512)
        self.labels = json.loads((folder / "config.json").read_text("utf-8"))["id2label"]

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=TIMEOUT)
    async def classify(self, inputs: list[list[str]]) -> list[list[dict[str, Any]]]:
        """All requests of a batch together."""
        encoded = self.tokenizer.encode_batch_fast([text for each in inputs for text in each])
        ids = np.array([each.ids for each in encoded], np.int64)
        mask = np.array([each.attention_mask for each in encoded], np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        [logits] = self.session.run(None, {name: given[name] for name in self.wanted})
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        scores = powers / powers.sum(-1, keepdims=True)
        answers = (
            {"label": self.labels[str(best)], "score": float(row[best])}
            for row, best in zip(scores, scores.argmax(-1).tolist(), strict=True)
        )
        return [[next(answers) for _ in each] for each in inputs]

    async def __call__(self, request: Request) -> Any:
        """One request."""
        return await self.classify((await request.json())["inputs"])


if __name__ == "__main__":
    ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Classifier.bind(MODEL, THREADS), blocking=True)
