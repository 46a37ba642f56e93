"""Making, keeping, showing and exporting clips."""
