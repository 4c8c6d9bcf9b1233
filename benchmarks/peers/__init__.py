"""Nestling and other servers side by side: the same model, texts, client and machine.

Servers are declared in `registry`, installed in environments of their own by `environments`,
started and stopped by `process`, one at a time, and measured in `measure`. `python -m
benchmarks.peers run` does all of it; `show` makes table and figure of what it found.
"""
