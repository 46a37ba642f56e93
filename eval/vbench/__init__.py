"""VBench (arXiv:2311.17982): dimensions, aggregates, files, and its networks behind a folder of weights."""
