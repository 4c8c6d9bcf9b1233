"""Runners: a batch of tokens in, answers out, by one library or another."""
