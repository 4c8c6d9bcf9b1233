"""A classifier's Hugging Face directory as an ONNX graph beside its tokenizer and configuration.

python export_onnx.py FROM TO
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

SOURCE, TARGET = Path(sys.argv[1]), Path(sys.argv[2])
OPSET = 17

shutil.copytree(SOURCE, TARGET, ignore=shutil.ignore_patterns("*.safetensors"))
# Eager attention becomes the nodes that ONNX Runtime knows to fuse.
model = AutoModelForSequenceClassification.from_pretrained(SOURCE, attn_implementation="eager")
given = AutoTokenizer.from_pretrained(SOURCE)(
    ["one text", "and another one"], padding=True, return_tensors="pt"
)
names = ["input_ids", "attention_mask"]
torch.onnx.export(
    model.eval(),
    tuple(given[name] for name in names),
    str(TARGET / "model.onnx"),
    input_names=names,
    output_names=["logits"],
    dynamic_axes={name: {0: "batch", 1: "length"} for name in names} | {"logits": {0: "batch"}},
    opset_version=OPSET,
    dynamo=False,
)
