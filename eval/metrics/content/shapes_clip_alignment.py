"""Text alignment of shapes-world clips by the CLIP trained in this repository."""

from eval.metric import ClipFacts, Facts, MetricResult, Resources, unscored
from eval.shapes.clip_network import DiptychTail, missing_weights, naming_weights, shapes_clip
from eval.shapes.oracle import parse
from eval.video.windows import Window

FACTS = Facts(
    name="shapes_clip_alignment",
    title="Text alignment (shapes CLIP)",
    group="text alignment",
    kind="trained here",
    higher_is_better=True,
    bounds=(-1.0, 1.0),
    says="How well frames, each with the one two thirds of a second before it, fit the prompt.",
    blind_to="It knows the shapes world only; a high value elsewhere means nothing.",
    paper="CLIP, arXiv:2103.00020; trained here on the shapes world",
    needs=("a prompt of the shapes world", "two thirds of a second"),
    cost=1.0,
)
NO_GRAMMAR = "the prompt is outside the grammar of the shapes world; use clip_score with an open_clip model"
TOO_SHORT = "the clip is shorter than two thirds of a second, and this metric looks that far back"


class Alignment:
    def __init__(self) -> None:
        self.facts = naming_weights(FACTS)

    def missing(self) -> str:
        return missing_weights()

    def open(self, clip: ClipFacts) -> "AlignmentScorer":
        return AlignmentScorer(clip)


class AlignmentScorer:
    """Cosine of each frame's embedding to the prompt's; the value is the mean over frames."""

    def __init__(self, clip: ClipFacts) -> None:
        self.known = parse(clip.prompt) is not None
        self.curve: list[float | None] = []
        if self.known:
            self.tail = DiptychTail(shapes_clip(), clip.fps)
            self.text = shapes_clip().embed_captions([clip.prompt])[0]

    def add(self, window: Window) -> None:
        if self.known:
            values = (self.tail.embed(window) @ self.text).tolist()
            self.curve += [None] * (len(window.frames) - len(values)) + values

    def result(self) -> MetricResult:
        values = [value for value in self.curve if value is not None]
        if not self.known:
            return unscored(NO_GRAMMAR)
        if not values:
            return unscored(TOO_SHORT, self.curve)
        return MetricResult(sum(values) / len(values), tuple(self.curve))


def create(resources: Resources) -> Alignment:
    return Alignment()
