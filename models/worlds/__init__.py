"""Procedural video worlds with captions."""
