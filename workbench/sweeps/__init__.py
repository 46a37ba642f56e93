"""Many clips made and scored, resumable."""
