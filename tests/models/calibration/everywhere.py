"""Calibrates, and says what came of it as JSON: run as other processors would, by the test of that.

python -m tests.models.calibration.everywhere CHECKPOINT DATA
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nestling.cli import app
from nestling.models import load_checkpoint
from nestling.models.evaluation.accuracy import answer
from nestling.models.evaluation.predictions import predict_all
from nestling.models.inputs.data import read_texts

if __name__ == "__main__":
    path, data = map(Path, sys.argv[1:])
    sys.stdout, said = sys.stderr, sys.stdout
    words = ["calibrate", str(path), "--data", str(data), "--max-drop", "0.02", "--name", "c"]
    app(words, standalone_mode=False)
    loaded = load_checkpoint(path)
    cascade = loaded.cascades["c"]
    predictions = predict_all(loaded, read_texts(data), data)
    found = {
        "stages": cascade.to_json()["stages"],
        "temperatures": {name: s.temperature for name, s in loaded.students.items()},
        "forecast": cascade.to_json()["forecast"],
        "routes": answer(predictions, cascade).stage.tolist(),
    }
    said.write(json.dumps(found))
