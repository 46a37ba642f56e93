"""Intervals, paired tests, resampling and trends."""
