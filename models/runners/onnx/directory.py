"""A student alone as a Hugging Face directory that plain ONNX Runtime serves."""

from __future__ import annotations

from pathlib import Path

from ...checkpoint.card import model_card
from ...checkpoint.export import README, chosen_student, config_of, write_json, write_tokenizer
from ...checkpoint.integrity import new_directory
from ...checkpoint.manifest import CONFIG, Manifest, calibrated_for
from ...checkpoint.weights import read_weights
from ...families import named
from ...precision import Precision
from .names import INPUTS, TYPED_INPUTS
from .write import check_precision, write_graph

MODEL = "model.onnx"
RUN = """\
import json, sys
import numpy as np, onnxruntime, tokenizers

labels = json.load(open("config.json", encoding="utf-8"))["id2label"]
tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({max_tokens})
tokenizer.enable_padding()
{texts}
encoded = tokenizer.encode_batch(texts)
inputs = {{
{inputs}
}}
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
(logits,) = session.run(["logits"], inputs)
{answers}"""
"""A program for the export's README; it has nothing but ONNX Runtime and the tokenizer."""
ONE = """\
odds = np.exp(logits - logits.max(axis=1, keepdims=True))
for text, row in zip(texts, odds / odds.sum(axis=1, keepdims=True)):
    print(f"{row.max():.6f}  {labels[str(row.argmax())]}  {text}")
"""
SEVERAL = """\
for text, row in zip(texts, 1 / (1 + np.exp(-logits.astype(float)))):
    held = np.flatnonzero(row >= 0.5)
    scores = " ".join(f"{row[i]:.6f}" for i in held)
    print(f"{scores}  {' '.join(labels[str(i)] for i in held)}  {text}")
"""
TEXTS = """\
texts = sys.argv[1:] or ["how do i say goodbye in french"]"""
PAIRS = """\
given = sys.argv[1:] or ["a man plays the guitar", "somebody makes music"]
texts = list(zip(given[::2], given[1::2]))"""
ENCODED = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""What an encoding of `tokenizers` calls each input."""


def export_onnx(
    checkpoint: Manifest, student: str, path: str | Path, precision: Precision = "float32"
) -> None:
    """Write graph, config, tokenizer and README under another name, then rename.

    The directory is as `export` writes it, with `model.onnx` in place of the weights. The graph has
    the inputs that the family's models take elsewhere. Its logits are divided by the temperature of
    this precision.
    Raises NestlingError for an unknown student or precision, for a path that exists, and if the
    package `onnx` is not installed; CheckpointError if the calibration for int8 is damaged, or a
    weight cannot be used.
    """
    path = Path(path)
    check_precision(precision)
    served = calibrated_for(checkpoint, precision)
    chosen = chosen_student(served, student)
    architecture = served.architecture
    of_pairs = architecture.head().inputs == "pair"
    typed = named(architecture.family).token_types
    if of_pairs and architecture.token_types == 1:
        typed = False  # there is no second type for a second text to have
    inputs = TYPED_INPUTS if typed else INPUTS
    with new_directory(path) as temporary:
        file = temporary / MODEL
        weights = read_weights(served)
        write_graph(architecture, weights, chosen.spec, file, precision, chosen.temperature, typed)
        config = config_of(served, chosen)
        config["nestling"]["precision"] = precision
        write_json(temporary / CONFIG, config)
        write_tokenizer(served, config, inputs, temporary)
        feed = "\n".join(
            f'    "{name}": np.array([each.{ENCODED[name]} for each in encoded]),'
            for name in inputs
        )
        program = RUN.format(
            max_tokens=architecture.max_tokens,
            inputs=feed,
            texts=PAIRS if of_pairs else TEXTS,
            answers=SEVERAL if architecture.head().task == "multi_label" else ONE,
        )
        card = model_card(served, chosen, precision, "onnx", "onnxruntime tokenizers", program)
        (temporary / README).write_text(card, "utf-8")
