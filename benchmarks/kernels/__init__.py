"""Measures the kernels on a GPU, side by side with what they replace.

    python -m benchmarks.kernels

A benchmark stands above what it measures: this is the one folder here that may know of models.
"""
