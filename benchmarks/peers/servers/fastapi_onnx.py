"""A classifier with ONNX Runtime behind FastAPI, as one writes it by oneself.

    MODEL=folder THREADS=1 uvicorn fastapi_onnx:app --workers 2

The folder has `model.onnx`, `tokenizer.json` and `config.json`, as Hugging Face's exporter leaves
them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer

FOLDER = Path(os.environ["MODEL"])

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ["THREADS"])
session = onnxruntime.InferenceSession(
    str(FOLDER / "model.onnx"), options, providers=["CPUExecutionProvider"]
)
wanted = {each.name for each in session.get_inputs()}
tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
tokenizer.enable_padding()
tokenizer.enable_truncation(512)
labels = json.loads((FOLDER / "config.json").read_text("utf-8"))["id2label"]
app = FastAPI()


class Texts(BaseModel):
    """What is asked."""

    inputs: list[str]


@app.post("/classify")
async def classify(texts: Texts) -> list[dict[str, object]]:
    """The likeliest label of each text."""
    encoded = tokenizer.encode_batch_fast(texts.inputs)
    ids = np.array([each.ids for each in encoded], np.int64)
    mask = np.array([each.attention_mask for each in encoded], np.int64)
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    [logits] = session.run(None, {name: given[name] for name in wanted})
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    scores = powers / powers.sum(-1, keepdims=True)
    return [
        {"label": labels[str(best)], "score": float(row[best])}
        for row, best in zip(scores, scores.argmax(-1).tolist(), strict=True)
    ]
