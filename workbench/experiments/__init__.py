"""The studies that results and claims come from."""
