"""The table of recipes. Adding one is a file here and a row below; presets are rows of numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.training.distillation import Roles
from models.training.loop import Recipe
from models.training.recipes.aad1 import AAD1Config, AAD1Recipe
from models.training.recipes.asd import ASDConfig, ASDRecipe
from models.training.recipes.autoencoder import AutoencoderConfig, AutoencoderRecipe
from models.training.recipes.causal_teacher import CausalTeacherConfig, CausalTeacherRecipe
from models.training.recipes.causvid import CausVidRecipe
from models.training.recipes.ode_init import OdeInitConfig, OdeInitRecipe
from models.training.recipes.self_forcing import SelfForcingConfig, SelfForcingRecipe
from models.training.recipes.teacher import TABLETOP, TINY, TeacherConfig, TeacherRecipe
from models.training.recipes.video_autoencoder import VideoAutoencoderConfig, VideoAutoencoderRecipe
from models.training.recipes.world_clip import WorldClipConfig, WorldClipRecipe


@dataclass(frozen=True)
class RecipeRow:
    """`build(config)` makes the recipe; `presets` are its configurations, the first one the shipped weights'."""

    build: Callable[[Any], Recipe]
    presets: dict[str, Any]
    paper: str


_POOLS = Path("runs/smoke-pools")
_FEW: dict[str, Any] = {"steps": 6, "batch": 2}
_SMALL: dict[str, Any] = {"prompts": 8, "clip_pool": 4, "critic_updates": 2, "pools": _POOLS, "compile": False, **_FEW}

_YOUNG = Path("runs/causal-teacher/export/causal_teacher")
_OLDER = Path("runs/causal-teacher2/export/causal_teacher")
# later stages start from what ships, so that each can be trained by itself
_GROWN = Path("assets/shapes-causal-teacher")
_PATHS = Path("assets/shapes-ode-init")
_CAUSAL: dict[str, Any] = {"causal_scores": True, "lr": 1.5e-5, "ema": 0.98, "guidance_scale": 2.0}
_STUDENT: dict[str, Any] = {"roles": Roles(_GROWN, _PATHS), "steps": 100, "warmup": 8, **_CAUSAL}
# what starts from the baseline; its critic starts anew, so the generator waits for it longer
_LATER: dict[str, Any] = {"roles": Roles(_GROWN, Path("assets/shapes-self-forcing")), "warmup": 10, **_CAUSAL}
_COMPONENTS: dict[str, Any] = {"steps": 30, **_LATER}
_PICTURES: dict[str, Any] = {
    "roles": Roles(_GROWN, Path("runs/aad1-init/export/generator")),
    "sampler_steps": 1,
    "image": True,
    "batch": 8,
    **_CAUSAL,
}
_AFTER_WARMUP = Path("runs/aad1-warmup/export/generator")
_TEACHER_PATHS: dict[str, Any] = {
    "roles": Roles(_GROWN, _GROWN),
    "causal": True,
    "trajectories": 800,
    "sampler_steps": 8,
    "guidance_scale": 2.0,
    "steps": 300,
    "batch": 16,
}
_CAUSVID: dict[str, Any] = {"steps": 80, "batch": 8, "lr": 1.5e-5, "ema": 0.98, "guidance_scale": 2.0}

# the tabletop world: every stage reads what earlier ones left in runs/
_RUNS = Path("runs")
_TABLETOP = Roles(
    teacher=_RUNS / "teacher/export/teacher",
    generator=_RUNS / "ode-init/export/generator",
    text_encoder=_RUNS / "teacher/export/text_encoder",
    autoencoder=Path("assets/tabletop-autoencoder"),
    world="tabletop",
)
_CLIPS = 3000
_TAPS = (1, 3, 5)
_FROM_TEACHER = replace(_TABLETOP, generator=_TABLETOP.teacher)
_CAUSAL_TEACHER = replace(_TABLETOP, teacher=_RUNS / "causal-teacher/export/causal_teacher")
# equal budgets for all students, from one initialisation
_TABLETOP_STUDENT: dict[str, Any] = {
    "roles": _TABLETOP,
    "clip_pool": _CLIPS,
    "steps": 1000,
    "batch": 4,
    "critic_updates": 3,
    "critic_batch": 8,
    "score_frames": 5,
    "lr": 4e-5,
    "critic_lr": 1e-4,
    "guidance_scale": 2.0,
    "warmup": 20,
    "ema": 0.99,
}
# the discriminator's pull is as large as distribution matching's where its head is sure, and all n are drawn alike
_TABLETOP_ASD: dict[str, Any] = {**_TABLETOP_STUDENT, "taps": _TAPS, "ratio": 1.0, "longest_share": 0.25}
_TABLETOP_PICTURES: dict[str, Any] = {
    **_TABLETOP_STUDENT,
    "roles": replace(_TABLETOP, generator=_RUNS / "aad1-init/export/generator"),
    "sampler_steps": 1,
    "image": True,
}
_TABLETOP_AAD1: dict[str, Any] = {
    "roles": replace(_TABLETOP, generator=_RUNS / "aad1-warmup/export/generator"),
    "clip_pool": _CLIPS,
    "steps": 700,
    "batch": 8,
    "lr": 2e-5,
    "taps": _TAPS,
}
_TABLETOP_ODE: dict[str, Any] = {
    "roles": _FROM_TEACHER,
    "trajectories": 384,
    "sampler_steps": 16,
    "guidance_scale": 2.0,
    "steps": 500,
    "batch": 8,
}

RECIPES: dict[str, RecipeRow] = {
    "autoencoder": RecipeRow(
        AutoencoderRecipe,
        {"shapes": AutoencoderConfig(), "smoke": AutoencoderConfig(steps=8, batch=4, widths=(8, 8, 16))},
        "Wan 2.1 VAE (arXiv 2503.20314)",
    ),
    "video-autoencoder": RecipeRow(
        VideoAutoencoderRecipe,
        {
            "tabletop": VideoAutoencoderConfig(),
            "tabletop-sharper": VideoAutoencoderConfig(
                start=Path("assets/tabletop-autoencoder"),
                steps=700,
                sharpen_steps=700,
                sharpness=0.1,
                sharpen_lr=3e-4,
                critic_lr=4e-4,
                energy=0.2,
                rhythm=0.5,
                adversarial=0.4,
            ),
            "smoke": VideoAutoencoderConfig(steps=4, batch=2, pool=4, pools=_POOLS),
        },
        "Wan 2.1 VAE (arXiv 2503.20314)",
    ),
    "teacher": RecipeRow(
        TeacherRecipe,
        {
            "shapes": TeacherConfig(),
            "tabletop": TeacherConfig(
                world="tabletop",
                autoencoder=Path("assets/tabletop-autoencoder"),
                steps=12_000,
                lr=1e-3,
                frames_only=0.5,
                frame_batch=64,
                clip_batch=5,
                sparse_share=0.5,
                sparse_batch=12,
                sparse_frames=5,
                frame_pool=12_000,
                clip_pool=3000,
                # thirteen frames share one motion, so that it is decided where the noise is higher than in one frame
                shift=11.0,
                frame_shift=3.0,
                routed_share=0.5,
                muon=True,
                architecture=TABLETOP,
            ),
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
            "causal-teacher": OdeInitConfig(**_TEACHER_PATHS),
            "aad1": OdeInitConfig(one_step=True, **_TEACHER_PATHS),
            "tabletop": OdeInitConfig(**_TABLETOP_ODE),
            "tabletop-aad1": OdeInitConfig(
                **{
                    **_TABLETOP_ODE,
                    "roles": replace(_CAUSAL_TEACHER, generator=_CAUSAL_TEACHER.teacher),
                    "one_step": True,
                    "causal": True,
                }
            ),
            "smoke": OdeInitConfig(trajectories=4, sampler_steps=4, pools=_POOLS, compile=False, **_FEW),
        },
        "CausVid (arXiv 2412.07772)",
    ),
    "self-forcing": RecipeRow(
        SelfForcingRecipe,
        {
            "shapes": SelfForcingConfig(**_STUDENT),
            "one-step": SelfForcingConfig(steps=40, sampler_steps=1, **_LATER),
            "two-step": SelfForcingConfig(steps=40, sampler_steps=2, **_LATER),
            "aad1-warmup": SelfForcingConfig(steps=40, **_PICTURES),
            "aad1-dmd": SelfForcingConfig(steps=120, **_PICTURES),
            "tabletop": SelfForcingConfig(**_TABLETOP_STUDENT),
            "tabletop-two-step": SelfForcingConfig(sampler_steps=2, **_TABLETOP_STUDENT),
            "tabletop-one-step": SelfForcingConfig(sampler_steps=1, **_TABLETOP_STUDENT),
            "tabletop-aad1-warmup": SelfForcingConfig(**{**_TABLETOP_PICTURES, "steps": 300}),
            "tabletop-aad1-dmd": SelfForcingConfig(**_TABLETOP_PICTURES),
            "smoke": SelfForcingConfig(**_SMALL),
        },
        "Self Forcing (arXiv 2506.08009)",
    ),
    "causal-teacher": RecipeRow(
        CausalTeacherRecipe,
        {
            "shapes": CausalTeacherConfig(),
            "continued": CausalTeacherConfig(roles=Roles(_YOUNG, _YOUNG), steps=400),
            "grown": CausalTeacherConfig(
                roles=Roles(_OLDER, _OLDER), clip_pool=12_000, steps=2200, batch=16, ema=0.998
            ),
            "bidirectional": CausalTeacherConfig(
                roles=Roles(_GROWN, _GROWN), causal=False, clip_pool=12_000, steps=1200, batch=16, lr=3e-4, ema=0.995
            ),
            "bidirectional-grown": CausalTeacherConfig(
                causal=False, clip_pool=12_000, steps=4000, batch=16, lr=4e-4, shift=5.0, ema=0.998
            ),
            "tabletop": CausalTeacherConfig(
                roles=_FROM_TEACHER, clip_pool=_CLIPS, steps=1500, batch=8, lr=4e-4, guidance_scale=3.0, ema=0.997
            ),
            "smoke": CausalTeacherConfig(clip_pool=4, pools=_POOLS, compile=False, **_FEW),
        },
        "Diffusion Forcing (arXiv 2407.01392)",
    ),
    "causvid": RecipeRow(
        CausVidRecipe,
        {
            "shapes": SelfForcingConfig(roles=Roles(generator=_PATHS), **_CAUSVID),
            "causal-teacher": SelfForcingConfig(roles=Roles(_GROWN, _PATHS), causal_scores=True, **_CAUSVID),
            "tabletop": SelfForcingConfig(**_TABLETOP_STUDENT),
            "tabletop-causal-teacher": SelfForcingConfig(
                **{**_TABLETOP_STUDENT, "roles": _CAUSAL_TEACHER, "causal_scores": True, "score_frames": 0}
            ),
            "smoke": SelfForcingConfig(**_SMALL),
        },
        "CausVid (arXiv 2412.07772)",
    ),
    "asd": RecipeRow(
        ASDRecipe,
        {
            "shapes": ASDConfig(**_STUDENT),
            "components": ASDConfig(**_COMPONENTS),
            "dmd-only": ASDConfig(alpha=0.0, **_COMPONENTS),
            "real": ASDConfig(positive="real", **_COMPONENTS),
            "both": ASDConfig(positive="both", **_COMPONENTS),
            "no-dmd": ASDConfig(matching=False, **_COMPONENTS),
            "tabletop": ASDConfig(**_TABLETOP_ASD),
            "tabletop-dmd-only": ASDConfig(alpha=0.0, **_TABLETOP_ASD),
            "tabletop-real": ASDConfig(positive="real", **_TABLETOP_ASD),
            "tabletop-both": ASDConfig(positive="both", **_TABLETOP_ASD),
            "tabletop-no-dmd": ASDConfig(matching=False, **_TABLETOP_ASD),
            "smoke": ASDConfig(taps=(0, 1), **_SMALL),
        },
        "Adversarial Self-Distillation (arXiv 2511.01419)",
    ),
    "aad1": RecipeRow(
        AAD1Recipe,
        {
            "shapes": AAD1Config(),
            # a discriminator that sees the past only starts from the teacher that does
            "causal": AAD1Config(causal=True, roles=Roles(_GROWN, _AFTER_WARMUP)),
            "per-frame": AAD1Config(per_frame=True),
            "tabletop": AAD1Config(**_TABLETOP_AAD1),
            "tabletop-causal": AAD1Config(
                **{**_TABLETOP_AAD1, "roles": replace(_CAUSAL_TEACHER, generator=_AFTER_WARMUP), "causal": True}
            ),
            "tabletop-per-frame": AAD1Config(per_frame=True, **_TABLETOP_AAD1),
            "smoke": AAD1Config(warmup=2, taps=(0, 1), clip_pool=4, pools=_POOLS, compile=False, **_FEW),
        },
        "AAD-1 (arXiv 2606.03972)",
    ),
    "world-clip": RecipeRow(
        WorldClipRecipe,
        {
            "shapes": WorldClipConfig(),
            "continued": WorldClipConfig(start=Path("assets/shapes-clip"), steps=400, lr=1e-3),
            "tabletop": WorldClipConfig(world="tabletop", patch=(16, 32), pool=8000, steps=2000),
            "smoke": WorldClipConfig(steps=6, batch=8, width=32, layers=1, compile=False, pool=32, pools=_POOLS),
        },
        "CLIP (arXiv 2103.00020)",
    ),
}
