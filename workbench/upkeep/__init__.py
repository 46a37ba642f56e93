"""Checks and backups of a data folder."""
