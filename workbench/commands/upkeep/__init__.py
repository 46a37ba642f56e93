"""Commands that check, save and restore a data folder."""
