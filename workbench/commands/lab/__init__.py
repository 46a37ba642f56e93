"""Trials and benchmarks: `python -m workbench lab`."""
