"""Wan 2.1's world: names and layouts of checkpoint files, rows of models, memory, and what loads them."""
