"""Studies, pairs, voting and what votes say."""
