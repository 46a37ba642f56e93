"""VBench's dimensions and constants, one row each: range for normalisation, weight, group, folder.

Values of Vchitect/VBench 45e79ec (2026-03-23), `scripts/constant.py`; a test compares the rows with a checkout.
"""

from dataclasses import dataclass

QUALITY, SEMANTIC = "quality", "semantic"


@dataclass(frozen=True)
class Dimension:
    """One row of VBench's score: `low` and `high` map the raw value to 0..1 (never clipped), `folder` holds its clips.

    `pooling` is how a model's value comes from its clips in one process: "frames" weights each clip by its number of
    terms, "clips" is the plain mean. `needs_labels`: it reads an object, colour, scene or style beside the prompt.
    """

    name: str
    group: str
    low: float
    high: float
    weight: float = 1.0
    folder: str = ""
    pooling: str = "clips"
    needs_labels: bool = False

    def normalised(self, raw: float) -> float:
        """Map a raw value (0..1 scale) to the normalised one, outside 0..1 when the raw value leaves the range."""
        return (raw - self.low) / (self.high - self.low)


# the order is VBench's own within each group: sums of floats depend on it in the last digit
DIMENSIONS: dict[str, Dimension] = {
    row.name: row
    for row in (
        Dimension("subject_consistency", QUALITY, 0.1462, 1.0, pooling="frames"),
        Dimension("background_consistency", QUALITY, 0.2615, 1.0, folder="scene", pooling="frames"),
        Dimension("temporal_flickering", QUALITY, 0.6293, 1.0),
        Dimension("motion_smoothness", QUALITY, 0.706, 0.9975, folder="subject_consistency"),
        Dimension("aesthetic_quality", QUALITY, 0.0, 1.0, folder="overall_consistency"),
        Dimension("imaging_quality", QUALITY, 0.0, 1.0, folder="overall_consistency"),
        Dimension("dynamic_degree", QUALITY, 0.0, 1.0, weight=0.5, folder="subject_consistency"),
        Dimension("object_class", SEMANTIC, 0.0, 1.0, pooling="frames", needs_labels=True),
        Dimension("multiple_objects", SEMANTIC, 0.0, 1.0, pooling="frames", needs_labels=True),
        Dimension("human_action", SEMANTIC, 0.0, 1.0),
        Dimension("color", SEMANTIC, 0.0, 1.0, needs_labels=True),
        Dimension("spatial_relationship", SEMANTIC, 0.0, 1.0, pooling="frames", needs_labels=True),
        Dimension("scene", SEMANTIC, 0.0, 0.8222, pooling="frames", needs_labels=True),
        Dimension("appearance_style", SEMANTIC, 0.0009, 0.2855, pooling="frames", needs_labels=True),
        Dimension("temporal_style", SEMANTIC, 0.0, 0.364),
        Dimension("overall_consistency", SEMANTIC, 0.0, 0.364),
    )
}

QUALITY_WEIGHT, SEMANTIC_WEIGHT = 4.0, 1.0


def folder_of(dimension: str) -> str:
    """The folder of a dimension's clips in VBench's layout `<root>/<folder>/<prompt>-<i>.mp4`."""
    return DIMENSIONS[dimension].folder or dimension
