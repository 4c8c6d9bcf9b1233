"""ONNX Runtime's dynamic quantization of an exported model: weights to int8, per channel.

python quantize.py FROM TO
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

SOURCE, TARGET = Path(sys.argv[1]), Path(sys.argv[2])

shutil.copytree(SOURCE, TARGET, ignore=shutil.ignore_patterns("*.onnx"))
quantize_dynamic(
    SOURCE / "model.onnx", TARGET / "model.onnx", per_channel=True, weight_type=QuantType.QInt8
)
