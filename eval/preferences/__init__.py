"""Preference votes as numbers that hold up: win rates, ratings, agreement, power. Tables in, plain values out."""
