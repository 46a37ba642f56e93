"""The Insight page."""
