"""Routes and named endpoints beside the pages."""
