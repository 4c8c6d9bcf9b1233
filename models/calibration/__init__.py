"""Temperatures, and thresholds with a guarantee.

`calibrate` runs the whole; `learn_then_test` has the statistics: split, order, walk.
"""
