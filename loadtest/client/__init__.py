"""Requests out, answers in: as little work for each as can be."""
