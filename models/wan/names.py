"""Names of weights: original Wan's beside those of diffusers and transformers, which this repository uses.

A table is a list of pairs of stems; `#` stands for a number that both sides share. It is read in both directions, so
what was renamed can be renamed back. Needs no torch.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

# a name is a stem, perhaps with the number of its layer in it, and one of these ends
NAME = re.compile(
    r"^(?P<before>(?:blocks|encoder\.block|encoder\.downsamples|encoder\.down_blocks)\.)(?P<number>\d+)(?P<after>\..+)$"
)
END = re.compile(r"\.(weight|bias|gamma)$")


@dataclass(frozen=True)
class NameTable:
    """`what` the network is called in messages; `pairs` of (original stem, stem here); `ignored` patterns of original
    names that belong to training alone; `measured` weights, by their names here, and how many sides they have: those
    that tell the network's configuration."""

    what: str
    pairs: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...] = ()
    measured: tuple[tuple[str, int], ...] = ()

    @cached_property
    def _here(self) -> dict[str, str]:
        return dict(self.pairs)

    @cached_property
    def _original(self) -> dict[str, str]:
        return {ours: theirs for theirs, ours in self.pairs}

    def to_ours(self, name: str) -> str | None:
        """The name here of an original name; None where the table has none."""
        return _renamed(name, self._here)

    def to_original(self, name: str) -> str | None:
        """The original name of a name here; None where the table has none."""
        return _renamed(name, self._original)

    def is_ignored(self, name: str) -> bool:
        return any(re.match(pattern, name) for pattern in self.ignored)


def _renamed(name: str, stems: dict[str, str]) -> str | None:
    numbered, end = NAME.match(name), END.search(name)
    stem = f"{numbered['before']}#{numbered['after']}" if numbered else name
    stem = stem.removesuffix(end[0]) if end else stem
    target = stems.get(stem)
    if target is None:
        return None
    return (target.replace("#", numbered["number"]) if numbered else target) + (end[0] if end else "")


def _attention(original: str, ours: str) -> list[tuple[str, str]]:
    linears = [(f"blocks.#.{original}.{letter}", f"blocks.#.{ours}.to_{letter}") for letter in "qkv"]
    norms = [(f"blocks.#.{original}.norm_{letter}", f"blocks.#.{ours}.norm_{letter}") for letter in "qk"]
    return [*linears, (f"blocks.#.{original}.o", f"blocks.#.{ours}.to_out.0"), *norms]


TRANSFORMER = NameTable(
    "a Wan transformer",
    (
        ("patch_embedding", "patch_embedding"),
        ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
        ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
        ("time_projection.1", "condition_embedder.time_proj"),
        ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
        ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
        ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
        ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
        ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
        ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
        ("img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"),
        ("blocks.#.modulation", "blocks.#.scale_shift_table"),
        ("blocks.#.norm3", "blocks.#.norm2"),
        *_attention("self_attn", "attn1"),
        *_attention("cross_attn", "attn2"),
        ("blocks.#.cross_attn.k_img", "blocks.#.attn2.add_k_proj"),
        ("blocks.#.cross_attn.v_img", "blocks.#.attn2.add_v_proj"),
        ("blocks.#.cross_attn.norm_k_img", "blocks.#.attn2.norm_added_k"),
        ("blocks.#.ffn.0", "blocks.#.ffn.net.0.proj"),
        ("blocks.#.ffn.2", "blocks.#.ffn.net.2"),
        ("head.modulation", "scale_shift_table"),
        ("head.head", "proj_out"),
        # SkyReels-V2 diffusion forcing: the frame rate is a condition too
        ("fps_embedding", "fps_embedding"),
        ("fps_projection.0", "fps_projection.net.0.proj"),
        ("fps_projection.2", "fps_projection.net.2"),
    ),
    # heads of discriminators, in the critics of training files
    (r"_cls_pred_branch\.", r"_register_tokens\b", r"_gan_ca_blocks\."),
    (
        ("patch_embedding.weight", 5),
        ("proj_out.weight", 2),
        ("condition_embedder.text_embedder.linear_1.weight", 2),
        ("condition_embedder.time_embedder.linear_1.weight", 2),
        ("blocks.0.ffn.net.0.proj.weight", 2),
    ),
)


def _residual(original: str, ours: str) -> list[tuple[str, str]]:
    parts = {"residual.0": "norm1", "residual.2": "conv1", "residual.3": "norm2", "residual.6": "conv2"}
    parts["shortcut"] = "conv_shortcut"
    return [(f"{original}.{theirs}", f"{ours}.{name}") for theirs, name in parts.items()]


def _resampling(original: str, ours: str) -> list[tuple[str, str]]:
    return [(f"{original}.{name}", f"{ours}.{name}") for name in ("resample.1", "time_conv")]


def _vae_side(side: str) -> list[tuple[str, str]]:
    middle = [
        (f"{side}.middle.1.{name}", f"{side}.mid_block.attentions.0.{name}") for name in ("norm", "to_qkv", "proj")
    ]
    return [
        (f"{side}.conv1", f"{side}.conv_in"),
        (f"{side}.head.0", f"{side}.norm_out"),
        (f"{side}.head.2", f"{side}.conv_out"),
        *middle,
        *_residual(f"{side}.middle.0", f"{side}.mid_block.resnets.0"),
        *_residual(f"{side}.middle.2", f"{side}.mid_block.resnets.1"),
    ]


def _vae_decoder_stage(stage: int) -> list[tuple[str, str]]:
    first, ours = 4 * stage, f"decoder.up_blocks.{stage}"
    resnets = [_residual(f"decoder.upsamples.{first + place}", f"{ours}.resnets.{place}") for place in range(3)]
    return [*chain.from_iterable(resnets), *_resampling(f"decoder.upsamples.{first + 3}", f"{ours}.upsamplers.0")]


VAE = NameTable(
    "the Wan 2.1 autoencoder",
    (
        ("conv1", "quant_conv"),
        ("conv2", "post_quant_conv"),
        *_vae_side("encoder"),
        *_vae_side("decoder"),
        *_residual("encoder.downsamples.#", "encoder.down_blocks.#"),
        *_resampling("encoder.downsamples.#", "encoder.down_blocks.#"),
        *chain.from_iterable(_vae_decoder_stage(stage) for stage in range(4)),
    ),
    measured=(("encoder.conv_in.weight", 5), ("post_quant_conv.weight", 5)),
)

UMT5 = NameTable(
    "the UMT5 text encoder",
    (
        ("token_embedding", "shared"),
        ("norm", "encoder.final_layer_norm"),
        ("blocks.#.norm1", "encoder.block.#.layer.0.layer_norm"),
        *((f"blocks.#.attn.{letter}", f"encoder.block.#.layer.0.SelfAttention.{letter}") for letter in "qkvo"),
        ("blocks.#.pos_embedding.embedding", "encoder.block.#.layer.0.SelfAttention.relative_attention_bias"),
        ("blocks.#.norm2", "encoder.block.#.layer.1.layer_norm"),
        ("blocks.#.ffn.gate.0", "encoder.block.#.layer.1.DenseReluDense.wi_0"),
        ("blocks.#.ffn.fc1", "encoder.block.#.layer.1.DenseReluDense.wi_1"),
        ("blocks.#.ffn.fc2", "encoder.block.#.layer.1.DenseReluDense.wo"),
    ),
    measured=(
        ("shared.weight", 2),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", 2),
        ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 2),
        ("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", 2),
    ),
)

# names that only one of the networks has; the first that is found says what a file holds
MARKS = (
    (TRANSFORMER, "blocks.0.self_attn.q.weight", True),
    (TRANSFORMER, "blocks.0.attn1.to_q.weight", False),
    (VAE, "decoder.upsamples.0.residual.2.weight", True),
    (VAE, "decoder.up_blocks.0.resnets.0.conv1.weight", False),
    (UMT5, "blocks.0.attn.q.weight", True),
    (UMT5, "encoder.block.0.layer.0.SelfAttention.q.weight", False),
)


def recognise(names: Iterable[str]) -> tuple[NameTable, bool] | None:
    """The table that bare `names` belong to, and whether they are the original ones."""
    names = set(names)
    return next(((table, original) for table, mark, original in MARKS if mark in names), None)


PREFIXES = (
    "model.diffusion_model.",
    "diffusion_model.",
    "module.",
    "net_ema.",
    "net.",
    "base_model.model.",
    "model.",
)
WRAPPERS = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")


def bare_name(name: str) -> str:
    """A name without the marks that trainers put before and into it. No name of a network here begins with one."""
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
    return name
