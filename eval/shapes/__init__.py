"""What a clip of the shapes world shows, read from its pixels."""
