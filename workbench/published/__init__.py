"""Figures of papers, as published."""
