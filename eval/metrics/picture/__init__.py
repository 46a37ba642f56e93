"""Metrics of single frames."""
