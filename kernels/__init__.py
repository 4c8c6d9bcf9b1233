"""Operations on nested prefixes: tensors in, tensors out, nothing of models or servers.

One folder per operation. Each holds `reference.py`, the readable definition in plain torch;
a faster implementation of the same operation stands beside it in the same folder, and
`operations.py` says which of them runs where.

Nothing is imported here, so that `layout` and the gate in NumPy can be had without torch, which a
server on a CPU does not load.
"""
