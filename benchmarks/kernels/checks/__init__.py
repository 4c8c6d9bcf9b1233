"""Whether every operation is right on this very device: by operation, checks as named functions.

A check makes its own data from a seed, and says what it found; a wrong result raises nothing.
"""
