"""Checks of the judges and of the worlds on clips whose truth is known."""
