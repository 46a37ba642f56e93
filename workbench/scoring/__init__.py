"""Evaluations as jobs, and their results."""
