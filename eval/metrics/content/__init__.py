"""Metrics of what a clip shows."""
