"""Commands that train and publish models."""
