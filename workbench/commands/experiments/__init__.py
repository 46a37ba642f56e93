"""Commands that run a study and write its report."""
