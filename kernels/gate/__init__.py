"""The decision after a stage: accept the answer or ask a larger student.

Nothing is imported here: `host` needs no torch, `reference` and `triton` do.
"""
