"""The studies on the Vote page."""
