"""The oracle of the tabletop world: what a clip shows, read from pixels by classical vision, against its prompt."""
