"""The console: one page at `/console`, and the stream of numbers that it shows."""
