"""The tabletop world: a procedural video world with captions, in which truth is known."""
