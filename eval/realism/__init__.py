"""How far made clips are from real ones."""
