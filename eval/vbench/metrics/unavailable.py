"""Dimensions whose networks are not part of this program: there by name, with the reason they give no value."""

from dataclasses import dataclass

from eval.metric import ClipFacts, Facts, Refused, Resources
from eval.vbench import weights
from eval.vbench.metrics.network_metric import VBENCH, VBENCH_I2V

GRIT, UMT, TAG2TEXT, DREAMSIM = "grit", "umt", "tag2text", "dreamsim"


@dataclass(frozen=True)
class Unavailable:
    """`file` is the row of `WEIGHTS` whose network would be needed; `run` says what runs it."""

    facts: Facts
    file: str
    run: str
    resources: Resources

    def missing(self) -> str:
        row, place = weights.WEIGHTS[self.file], weights.places_of(self.file, self.resources.weights)[0]
        there = "is there" if weights.find(self.file, self.resources.weights) else "is missing too"
        return (
            f"not computed here: it needs {row.title} ({self.run}), which this program does not include; its weights "
            f"({weights.megabytes(self.file)}, from {row.source}, expected at {place}) {there}; run it with "
            "VBench and read its result file"
        )

    def open(self, clip: ClipFacts) -> Refused:
        return Refused(self.missing())


def _row(name: str, says: str, blind_to: str, file: str, run: str, *, paper: str = VBENCH, group: str = "semantics"):
    facts = Facts(
        name=name,
        title=name.replace("_", " ").capitalize(),
        group=group,
        kind="vbench",
        higher_is_better=True,
        bounds=(0.0, 1.0),
        says=says,
        blind_to=blind_to,
        paper=paper,
        needs=("VBench's own prompts",) if group == "semantics" else ("the picture it was made from",),
    )

    def create(resources: Resources) -> Unavailable:
        return Unavailable(facts, file, run, resources)

    return create


DETECTRON = "a detector that runs on detectron2"
object_class = _row(
    "object_class", "Share of 16 frames in which the object is found.", "Anything but the object.", GRIT, DETECTRON
)
multiple_objects = _row(
    "multiple_objects", "Share of 16 frames in which both objects are found.", "Where they are.", GRIT, DETECTRON
)
color = _row(
    "color", "Share of frames, of those with the object, whose caption has the colour.", "Brown.", GRIT, DETECTRON
)
spatial_relationship = _row(
    "spatial_relationship",
    "Whether two objects stand beside or above each other as asked.",
    "It does not tell left from right, nor above from below.",
    GRIT,
    DETECTRON,
)
human_action = _row(
    "human_action",
    "Whether the action is among the five likeliest of Kinetics-400.",
    "Other actions; it reads the action from the file's name.",
    UMT,
    "a video classifier",
)
scene = _row(
    "scene",
    "Share of 16 frames whose caption has every word of the scene.",
    "It looks for letters: an alley is found in a valley.",
    TAG2TEXT,
    "a captioner with BERT",
)
i2v_background = _row(
    "i2v_background",
    "How like the given picture the frames are in DreamSim's features.",
    "It sees the whole frame, not the background alone.",
    DREAMSIM,
    "an ensemble of three ViTs",
    paper=VBENCH_I2V,
    group="consistency",
)
