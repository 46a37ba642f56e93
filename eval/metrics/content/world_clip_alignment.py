"""Text alignment of clips of a procedural world by its CLIP, trained in this repository."""

from eval.metric import ClipFacts, Facts, MetricResult, Resources, unscored
from eval.metrics.content.world_clip import SHAPES, TABLETOP, ClipWorld, DiptychTail, world_clip
from eval.video.windows import Window

TOO_SHORT = "the clip is shorter than two thirds of a second, and this metric looks that far back"


def _facts(world: str) -> Facts:
    return Facts(
        name=f"{world}_clip_alignment",
        title=f"Text alignment ({world} CLIP)",
        group="text alignment",
        kind="trained here",
        higher_is_better=True,
        bounds=(-1.0, 1.0),
        says="How well frames, each with the one two thirds of a second before it, fit the prompt.",
        blind_to=f"It knows the {world} world only; a high value elsewhere means nothing.",
        paper=f"CLIP, arXiv:2103.00020; trained here on the {world} world",
        world=world,
        needs=(f"a prompt of the {world} world", "two thirds of a second"),
        cost=1.0,
    )


class Alignment:
    def __init__(self, world: ClipWorld) -> None:
        self.world = world
        self.facts = world.naming_weights(_facts(world.name))

    def missing(self) -> str:
        return self.world.missing()

    def open(self, clip: ClipFacts) -> "AlignmentScorer":
        return AlignmentScorer(clip, self.world)


class AlignmentScorer:
    """Cosine of each frame's embedding to the prompt's; the value is the mean over frames."""

    def __init__(self, clip: ClipFacts, world: ClipWorld) -> None:
        self.world, self.asked = world.name, bool(clip.prompt.strip())
        self.known = world.parse(clip.prompt) is not None
        self.curve: list[float | None] = []
        if self.known:
            self.tail = DiptychTail(world_clip(world.name), clip.fps)
            self.text = world_clip(world.name).embed_captions([clip.prompt])[0]

    def add(self, window: Window) -> None:
        if self.known:
            values = (self.tail.embed(window) @ self.text).tolist()
            self.curve += [None] * (len(window.frames) - len(values)) + values

    def result(self) -> MetricResult:
        values = [value for value in self.curve if value is not None]
        if not self.asked:
            return unscored("the clip has no prompt, and its frames are compared with what was asked for; give one")
        if not self.known:
            return unscored(
                f"the prompt is outside the grammar of the {self.world} world; use clip_score with an open_clip model"
            )
        if not values:
            return unscored(TOO_SHORT, self.curve)
        return MetricResult(sum(values) / len(values), tuple(self.curve))


def create_shapes(resources: Resources) -> Alignment:
    return Alignment(SHAPES)


def create_tabletop(resources: Resources) -> Alignment:
    return Alignment(TABLETOP)
