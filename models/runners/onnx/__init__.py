"""Students as ONNX graphs: padded token ids in, logits out, for any runtime that reads ONNX.

Unlike everywhere else in Nestling, a graph holds a copy of its student's slice of the weights.
Needs the extra `cpu`. Nothing is imported here: `runner` finds graphs that were made before without
`onnx`, which those who make them need.
"""
