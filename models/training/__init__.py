"""Recipes that train the networks of this package, and the one loop that runs them."""
