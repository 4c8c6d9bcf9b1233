"""Turns records into numbers."""
