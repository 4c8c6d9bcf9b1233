"""The decision after a stage whose answer is a set of labels, each of which may hold.

Nothing is imported here: `host` needs no torch, `reference` does. There is no kernel in Triton:
it is a handful of element-wise operations on one row per text.
"""
