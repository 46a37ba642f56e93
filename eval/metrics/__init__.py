"""The metrics. Adding one is a file with `create(resources)` and a row in `METRICS`."""

import difflib
import importlib
from collections.abc import Sequence

from eval.metric import Metric, Resources

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
    "shapes_clip_alignment": "eval.metrics.content.shapes_clip_alignment",
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
    "subject_consistency_shapes_clip": "eval.metrics.content.shapes_clip_consistency:create_subject",
    "background_consistency_shapes_clip": "eval.metrics.content.shapes_clip_consistency:create_background",
    "appearance_drift": "eval.metrics.content.appearance_drift",
    # motion
    "dynamic_degree": "eval.vbench.metrics.motion:dynamic_degree",
    "dynamic_degree_flow": "eval.metrics.motion.dynamic_degree_flow",
    "frame_difference": "eval.metrics.motion.frame_difference",
}


def list_metrics() -> list[str]:
    """Every name that `create_metric` knows, in page order."""
    return list(METRICS)


def create_metric(name: str, resources: Resources | None = None) -> Metric:
    """The metric called `name`. Raises ValueError that lists what exists, nearest names first."""
    if name not in METRICS:
        near = difflib.get_close_matches(name, METRICS, n=3, cutoff=0.3)
        known = ", ".join([*near, *(other for other in METRICS if other not in near)])
        raise ValueError(f"metric {name!r} does not exist; choose from {known}")
    module, _, function = METRICS[name].partition(":")
    return getattr(importlib.import_module(module), function or "create")(resources or Resources())


def create_metrics(names: Sequence[str] | None = None, resources: Resources | None = None) -> list[Metric]:
    """Several metrics, each once, in page order; None for all of them."""
    metrics = {name: create_metric(name, resources) for name in (METRICS if names is None else names)}
    return [metrics[name] for name in METRICS if name in metrics]
