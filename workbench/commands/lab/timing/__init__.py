"""Times, on an idle machine."""
