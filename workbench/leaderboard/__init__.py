"""Means by system, with intervals."""
