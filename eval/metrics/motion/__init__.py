"""Metrics of what changes between frames."""
