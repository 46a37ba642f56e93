"""Judging clips: metrics, the shapes oracle, distances between sets of clips, and the statistics around them."""
