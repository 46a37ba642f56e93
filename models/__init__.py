"""Networks, sampling and training. Knows nothing of the user interface, of metrics, or of the database."""
