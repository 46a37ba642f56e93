"""Trials and benchmarks for those who develop the workbench."""
