"""The table of recipes. Adding one is a file here and a row below; presets are rows of numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.training.loop import Recipe
from models.training.recipes.asd import ASDConfig, ASDRecipe
from models.training.recipes.autoencoder import AutoencoderConfig, AutoencoderRecipe
from models.training.recipes.ode_init import OdeInitConfig, OdeInitRecipe
from models.training.recipes.self_forcing import SelfForcingConfig, SelfForcingRecipe
from models.training.recipes.shapes_clip import ShapesClipConfig, ShapesClipRecipe
from models.training.recipes.teacher import TINY, TeacherConfig, TeacherRecipe


@dataclass(frozen=True)
class RecipeRow:
    """`build(config)` makes the recipe; `presets` are its configurations, the first one the shipped weights'."""

    build: Callable[[Any], Recipe]
    presets: dict[str, Any]
    paper: str


_POOLS = Path("runs/smoke-pools")
_FEW = {"steps": 6, "batch": 2}

RECIPES: dict[str, RecipeRow] = {
    "autoencoder": RecipeRow(
        AutoencoderRecipe,
        {"shapes": AutoencoderConfig(), "smoke": AutoencoderConfig(steps=8, batch=4, widths=(8, 8, 16))},
        "Wan 2.1 VAE (arXiv 2503.20314)",
    ),
    "teacher": RecipeRow(
        TeacherRecipe,
        {
            "shapes": TeacherConfig(),
            "smoke": TeacherConfig(
                steps=8,
                frame_batch=4,
                clip_batch=2,
                sparse_batch=2,
                frame_pool=16,
                clip_pool=4,
                pools=_POOLS,
                architecture=TINY,
                compile=False,
            ),
        },
        "flow matching (arXiv 2210.02747)",
    ),
    "ode-init": RecipeRow(
        OdeInitRecipe,
        {
            "shapes": OdeInitConfig(),
            "smoke": OdeInitConfig(trajectories=4, sampler_steps=4, pools=_POOLS, compile=False, **_FEW),
        },
        "CausVid (arXiv 2412.07772)",
    ),
    "self-forcing": RecipeRow(
        SelfForcingRecipe,
        {
            "shapes": SelfForcingConfig(),
            "smoke": SelfForcingConfig(prompts=8, critic_updates=2, compile=False, **_FEW),
        },
        "Self Forcing (arXiv 2506.08009)",
    ),
    "asd": RecipeRow(
        ASDRecipe,
        {
            "shapes": ASDConfig(),
            "smoke": ASDConfig(prompts=8, critic_updates=2, taps=(0, 1), compile=False, **_FEW),
        },
        "Adversarial Self-Distillation (arXiv 2511.01419)",
    ),
    "shapes-clip": RecipeRow(
        ShapesClipRecipe,
        {
            "shapes": ShapesClipConfig(),
            "smoke": ShapesClipConfig(steps=6, batch=8, width=32, layers=1, compile=False, pool=32, pools=_POOLS),
        },
        "CLIP (arXiv 2103.00020)",
    ),
}
