"""Networks, their caches and masks."""
