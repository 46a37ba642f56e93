"""The worlds that ship with their models. Whatever names a model, a prompt or a study by default reads it from
`DEFAULT`, the world that the app opens with; the papers' claims are measured on `MEASURED`, which has every system
that they are about.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class EmbeddedWorld:
    """A world whose models ship with the repository: `prefix` begins their names in the registry.

    `prompts` are the examples and `study_prompts` show every word, all of one thing each: a pair in which both
    models miss one of two things tells nothing of the models. `switch` is what a prompt may change to, `metrics` what
    tells its clips apart best, which are scores of this world alone.
    """

    name: str
    prefix: str
    prompts: tuple[str, ...]
    study_prompts: tuple[str, ...]
    switch: str
    metrics: tuple[str, ...]

    def model(self, role: str) -> str:
        """The name of the model that is trained as `role`, as `asd` or `causal-teacher`."""
        return self.prefix + role

    @property
    def teacher(self) -> str:
        return self.model("teacher")

    @property
    def causal_teacher(self) -> str:
        return self.model("causal-teacher")

    @property
    def baseline(self) -> str:
        return self.model("self-forcing")

    @property
    def asd(self) -> str:
        return self.model("asd")

    @property
    def prompt(self) -> str:
        """The prompt that examples show."""
        return self.prompts[0]

    @property
    def study(self) -> str:
        """The id of the study that every data folder has."""
        return f"{self.name}-asd"


SHAPES = EmbeddedWorld(
    "shapes",
    "shapes-",
    (
        "a red circle moving right on a black background",
        "a yellow star moving up on a navy background",
        "a cyan triangle moving left on a gray background",
        "a purple square moving down on a brown background",
        "a white square moving right on a gray background",
    ),
    (
        "a red circle moving right on a black background",
        "a yellow star moving up on a navy background",
        "a cyan triangle moving left on a gray background",
        "a purple square moving down on a brown background",
        "a green circle moving left on a navy background",
        "a white triangle moving up on a brown background",
        "a blue square moving right on a gray background",
        "an orange circle moving down on a black background",
        "a blue square moving up on a black background",
        "a green triangle moving right on a black background",
        "a cyan star moving down on a brown background",
        "a yellow square moving left on a navy background",
        "a white circle moving right on a brown background",
        "a blue circle moving up on a brown background",
        "a purple star moving right on a gray background",
        "a green triangle moving up on a navy background",
    ),
    "a blue star moving left on a navy background",
    ("shapes_clip_alignment", "oracle_right"),
)
TABLETOP = EmbeddedWorld(
    "tabletop",
    "",
    (
        "a red ball rolling right over grass",
        "a yellow cone rolling up over stone",
        "a cyan cylinder rolling left over sand",
        "a purple cube rolling down over water",
        "a white ball rolling right over wood",
    ),
    (
        "a red ball rolling right over grass",
        "a yellow cone rolling up over stone",
        "a cyan cylinder rolling left over sand",
        "a purple cube rolling down over water",
        "a green ball rolling left over stone",
        "a white cylinder rolling up over water",
        "a blue cube rolling right over sand",
        "an orange ball rolling down over night sky",
        "an orange cone rolling left over wood",
        "a green cylinder rolling right over grass",
        "a cyan cone rolling down over water",
        "a yellow cube rolling left over stone",
        "a purple cylinder rolling down over night sky",
        "a blue ball rolling up over wood",
        "a purple cone rolling right over sand",
        "a cyan cube rolling left over grass",
    ),
    "a blue ball rolling left over sand",
    ("texture_spectrum_distance", "tabletop_right"),
)
EMBEDDED = (SHAPES, TABLETOP)
DEFAULT = TABLETOP
MEASURED = SHAPES


def world_of(family: str) -> EmbeddedWorld:
    """The world of a model's family; `DEFAULT` for a family without models that ship."""
    return next((world for world in EMBEDDED if world.name == family), DEFAULT)
