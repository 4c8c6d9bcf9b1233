"""Sends requests and receives answers, with as little work for each as possible."""
