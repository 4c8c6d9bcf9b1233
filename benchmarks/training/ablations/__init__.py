"""Training with one thing changed at a time, on several data sets and seeds."""
