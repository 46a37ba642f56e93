"""Noise levels, plans of steps and the sampling loop."""
