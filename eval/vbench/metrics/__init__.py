"""VBench's dimensions that need published networks, and those that cannot run here, by name and with the reason."""
