"""A pipeline of the real classes, small enough to be made anew in every test."""

import torch

from models.networks.autoencoder import ShapesAutoencoder
from models.networks.codec import Codec
from models.networks.text_encoder import ShapesTextEncoder
from models.networks.transformer import CausalVideoTransformer
from models.pipeline import VideoPipeline
from models.specs import ModelSpec


def tiny_pipeline(seed: int = 0, *, causal: bool = True) -> VideoPipeline:
    """The real classes at tiny width with random weights, for tests of plumbing; what it makes is noise."""
    torch.manual_seed(seed)
    spec = ModelSpec(
        name="tiny-random",
        title="Random weights",
        family="shapes",
        paper="none",
        weights="none",
        steps=(1, 2, 3, 4),
        trained_steps=(),
        default_steps=1,
        note="random weights, tests only",
        causal=causal,
        guidance_scale=1.0 if causal else 2.0,
    )
    transformer = CausalVideoTransformer(
        num_attention_heads=2, attention_head_dim=12, ffn_dim=48, num_layers=2, text_dim=16, freq_dim=16
    )
    autoencoder = ShapesAutoencoder(widths=(8, 8, 16), encoder_layers=(1, 1, 1), decoder_layers=(1, 1, 1))
    text = ShapesTextEncoder(width=16, num_layers=1, num_attention_heads=2)
    return VideoPipeline(spec, transformer.eval(), text.eval(), Codec(autoencoder.eval()))
