"""The registry of metrics. Adding one is a file with `FACTS` and `create(resources)`, and a row in `METRICS`."""

import difflib
import importlib
from collections.abc import Sequence

from eval.metric import Metric, Resources
from eval.vbench.weights import weights_folder

# name: module, or module:function, that makes it; in page order; imported when asked for
METRICS: dict[str, str] = {
    # temporal quality
    "temporal_flickering": "eval.metrics.motion.temporal_flickering",
    "motion_smoothness": "eval.vbench.metrics.motion:motion_smoothness",
    "motion_smoothness_flow": "eval.metrics.motion.motion_smoothness_flow",
    "warping_error": "eval.metrics.motion.warping_error",
    "luma_flicker": "eval.metrics.motion.luma_flicker",
    "ground_stability": "eval.metrics.motion.ground_stability",
    # frame quality
    "aesthetic_quality": "eval.vbench.metrics.frame_quality:aesthetic_quality",
    "imaging_quality": "eval.vbench.metrics.frame_quality:imaging_quality",
    "sharpness": "eval.metrics.picture.sharpness",
    "contrast": "eval.metrics.picture.contrast",
    "exposure": "eval.metrics.picture.exposure",
    "colorfulness": "eval.metrics.picture.colorfulness",
    "saturation": "eval.metrics.picture.saturation",
    "blockiness": "eval.metrics.picture.blockiness",
    "texture_spectrum_distance": "eval.metrics.picture.texture_spectrum_distance",
    # text alignment
    "overall_consistency": "eval.vbench.metrics.text_alignment:overall_consistency",
    "clip_score": "eval.vbench.metrics.text_alignment:clip_score",
    "shapes_clip_alignment": "eval.metrics.content.world_clip_alignment:create_shapes",
    "tabletop_clip_alignment": "eval.metrics.content.world_clip_alignment:create_tabletop",
    # semantics
    "object_class": "eval.vbench.metrics.unavailable:object_class",
    "multiple_objects": "eval.vbench.metrics.unavailable:multiple_objects",
    "human_action": "eval.vbench.metrics.unavailable:human_action",
    "color": "eval.vbench.metrics.unavailable:color",
    "spatial_relationship": "eval.vbench.metrics.unavailable:spatial_relationship",
    "scene": "eval.vbench.metrics.unavailable:scene",
    "appearance_style": "eval.vbench.metrics.text_alignment:appearance_style",
    "temporal_style": "eval.vbench.metrics.text_alignment:temporal_style",
    # consistency
    "subject_consistency": "eval.vbench.metrics.consistency:subject_consistency",
    "background_consistency": "eval.vbench.metrics.consistency:background_consistency",
    "i2v_subject": "eval.vbench.metrics.consistency:i2v_subject",
    "i2v_background": "eval.vbench.metrics.unavailable:i2v_background",
    "subject_consistency_shapes_clip": "eval.metrics.content.world_clip_consistency:create_shapes_subject",
    "background_consistency_shapes_clip": "eval.metrics.content.world_clip_consistency:create_shapes_background",
    "subject_consistency_tabletop_clip": "eval.metrics.content.world_clip_consistency:create_tabletop_subject",
    "background_consistency_tabletop_clip": "eval.metrics.content.world_clip_consistency:create_tabletop_background",
    "appearance_drift": "eval.metrics.content.appearance_drift",
    # motion
    "dynamic_degree": "eval.vbench.metrics.motion:dynamic_degree",
    "dynamic_degree_flow": "eval.metrics.motion.dynamic_degree_flow",
    "frame_difference": "eval.metrics.motion.frame_difference",
    # what the prompt asks for
    "oracle_right": "eval.metrics.content.prompt_oracle:create_right",
    "oracle_shape_error": "eval.metrics.content.prompt_oracle:create_shape_error",
    "oracle_color_error": "eval.metrics.content.prompt_oracle:create_color_error",
    "tabletop_right": "eval.metrics.content.prompt_oracle:create_tabletop_right",
}


class UnknownMetric(ValueError):
    """A name that is no metric's; the message lists what exists, nearest names first."""


def list_metrics(resources: Resources | None = None) -> list[str]:
    """Every name that `create_metric` knows, in page order; open_clip's models are the last of them, where `resources`
    has them."""
    return [*METRICS, *_open_clip(resources or Resources())]


def create_metric(name: str, resources: Resources | None = None) -> Metric:
    """The metric called `name`. Raises UnknownMetric for a name that is none's."""
    (metric,) = create_metrics([name], resources)
    return metric


def create_metrics(names: Sequence[str] | None = None, resources: Resources | None = None) -> list[Metric]:
    """Several metrics, each once, in page order; None for all of them. Raises UnknownMetric."""
    resources = resources or Resources()
    others = _open_clip(resources)
    known = [*METRICS, *others]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), known, n=3, cutoff=0.3)
        listed = ", ".join([*near, *(name for name in known if name not in near)])
        raise UnknownMetric(f"metric {unknown[0]!r} does not exist; choose from {listed}")
    wanted = known if names is None else [name for name in known if name in set(names)]
    return [others[name] if name in others else _make(METRICS[name], resources) for name in wanted]


def _make(place: str, resources: Resources) -> Metric:
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function or "create")(resources)


def _open_clip(resources: Resources) -> dict[str, Metric]:
    """Text alignment by open_clip's models: the one asked for, and those in the folder of weights."""
    if not resources.clip and not (weights_folder(resources.weights) / "open_clip").is_dir():
        return {}
    from eval.vbench.metrics.open_clip_score import open_clip_scores

    return {metric.facts.name: metric for metric in open_clip_scores(resources)}
