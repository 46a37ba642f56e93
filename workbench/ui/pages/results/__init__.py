"""The results of a study on the Vote page."""
