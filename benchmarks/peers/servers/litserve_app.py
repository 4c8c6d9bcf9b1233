"""A pipeline of transformers behind LitServe, with batching: https://lightning.ai/docs/litserve.

THREADS=1 WORKERS=2 python litserve_app.py MODEL PORT

Annotations are left as they are written: LitServe reads the type of `decode_request` off them.
"""

import os
import sys
from typing import Any

import litserve as ls
import torch
from transformers import pipeline

MODEL, PORT = sys.argv[1], int(sys.argv[2])
THREADS, WORKERS = int(os.environ["THREADS"]), int(os.environ["WORKERS"])
MAX_BATCH = 32
"""Requests, each of one text or of several."""
TIMEOUT = 0.005
"""Seconds that a batch waits to be full."""


class Classifier(ls.LitAPI):
    """Lists of texts in, lists of labels and scores out."""

    def setup(self, device: str) -> None:
        torch.set_num_threads(THREADS)
        self.pipe = pipeline("text-classification", model=MODEL, device=device)

    def decode_request(self, request: dict[str, Any]) -> list[str]:
        return list(request["inputs"])

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        return inputs

    def predict(self, inputs: list[list[str]]) -> list[list[dict[str, Any]]]:
        texts = [text for each in inputs for text in each]
        answers = iter(self.pipe(texts, batch_size=len(texts)))
        return [[next(answers) for _ in each] for each in inputs]

    def unbatch(self, output: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
        return output

    def encode_response(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output


if __name__ == "__main__":
    server = ls.LitServer(
        Classifier(max_batch_size=MAX_BATCH, batch_timeout=TIMEOUT),
        accelerator="cpu",
        workers_per_device=WORKERS,
    )
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False, log_level="warning")
