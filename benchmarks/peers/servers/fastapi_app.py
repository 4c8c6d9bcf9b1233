"""A classifier with ONNX Runtime or OpenVINO behind FastAPI, as one writes it by oneself.

    MODEL=folder ENGINE=onnxruntime THREADS=1 uvicorn fastapi_app:app --workers 2
    MODEL=folder ENGINE=openvino PRECISION=bf16 THREADS=1 RUNS=2 MAX_BATCH=32 \\
        uvicorn fastapi_app:app

The folder has `model.onnx`, `tokenizer.json` and `config.json`, as Hugging Face's exporter leaves
them. THREADS: of each run of the model. MAX_BATCH: texts of several requests that are computed
together; without it, every request is computed by itself, where it arrives. RUNS: at a time.
PRECISION: in which OpenVINO computes, f32 or bf16.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer

FOLDER = Path(os.environ["MODEL"])
GRAPH = str(FOLDER / "model.onnx")
THREADS, RUNS = int(os.environ["THREADS"]), int(os.environ.get("RUNS", "1"))
MAX_BATCH = int(os.environ.get("MAX_BATCH", "0"))

Inputs = dict[str, Any]
Answers = list[dict[str, object]]


def by_onnxruntime() -> tuple[set[str], Callable[[Inputs], Any]]:
    """Names of the inputs, and what makes logits of them, RUNS at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(GRAPH, options, providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    return names, lambda given: session.run(None, given)[0]


def by_openvino() -> tuple[set[str], Callable[[Inputs], Any]]:
    """As `by_onnxruntime`: a stream for each run at a time."""
    import openvino

    options = {
        "INFERENCE_PRECISION_HINT": os.environ["PRECISION"],
        "PERFORMANCE_HINT": "LATENCY" if RUNS == 1 else "THROUGHPUT",
        "NUM_STREAMS": RUNS,
        "INFERENCE_NUM_THREADS": THREADS * RUNS,
        # Processes side by side do not agree on who has which core.
        "ENABLE_CPU_PINNING": False,
    }
    model = openvino.Core().compile_model(GRAPH, "CPU", options)
    idle: SimpleQueue[Any] = SimpleQueue()
    for _ in range(RUNS):
        idle.put(model.create_infer_request())

    def run(given: Inputs) -> Any:
        request = idle.get()
        try:
            return request.infer(given, share_inputs=True)[0]
        finally:
            idle.put(request)

    return {each.any_name for each in model.inputs}, run


wanted, run = {"onnxruntime": by_onnxruntime, "openvino": by_openvino}[os.environ["ENGINE"]]()
tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
tokenizer.enable_padding()
tokenizer.enable_truncation(512)
labels = json.loads((FOLDER / "config.json").read_text("utf-8"))["id2label"]
app = FastAPI()


class Texts(BaseModel):
    """What is asked."""

    inputs: list[str]


def answered(texts: list[str]) -> Answers:
    """The likeliest label of each text."""
    encoded = tokenizer.encode_batch_fast(texts)
    ids = np.array([each.ids for each in encoded], np.int64)
    mask = np.array([each.attention_mask for each in encoded], np.int64)
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    logits = run({name: given[name] for name in wanted})
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    scores = powers / powers.sum(-1, keepdims=True)
    return [
        {"label": labels[str(best)], "score": float(row[best])}
        for row, best in zip(scores, scores.argmax(-1).tolist(), strict=True)
    ]


class Batches:
    """Requests that wait while RUNS batches are computed become the next one: nobody waits for
    company."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[list[str], asyncio.Future[Answers]]] = deque()
        self._free, self._threads = RUNS, ThreadPoolExecutor(RUNS)

    async def answered(self, texts: list[str]) -> Answers:
        """Of one request, with others' beside it."""
        future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._waiting.append((texts, future))
        self._start()
        return await future

    def _start(self) -> None:
        while self._free and self._waiting:
            batch = [self._waiting.popleft()]
            texts = list(batch[0][0])
            while self._waiting and len(texts) + len(self._waiting[0][0]) <= MAX_BATCH:
                batch.append(self._waiting.popleft())
                texts += batch[-1][0]
            self._free -= 1
            computed = asyncio.get_running_loop().run_in_executor(self._threads, answered, texts)
            computed.add_done_callback(partial(self._done, batch))

    def _done(
        self,
        batch: list[tuple[list[str], asyncio.Future[Answers]]],
        computed: asyncio.Future[Answers],
    ) -> None:
        self._free += 1
        self._start()
        error = computed.exception()
        answers = iter(() if error else computed.result())
        for texts, future in batch:
            each = list(islice(answers, len(texts)))
            if future.done():  # its client is gone
                continue
            if error:
                future.set_exception(error)
            else:
                future.set_result(each)


batches = Batches()


@app.post("/classify")
async def classify(texts: Texts) -> Answers:
    """The likeliest label of each text."""
    return await batches.answered(texts.inputs) if MAX_BATCH else answered(texts.inputs)
