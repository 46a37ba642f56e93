"""A small CLIP for one procedural world: open_clip's towers and tokenizer, on pictures that show motion.

One frame cannot tell left from right, so the image tower looks at a diptych: the frame `gap_seconds` earlier on the
left, the frame itself on the right. The two are woven, strip by strip, so that a patch holds the same place in both:
what moved there shows within the patch. (Side by side, directions were not learned: a place would have to be found
again in a patch far away.) The tokenizer is open_clip's; only the words of the grammar keep a row in the
embedding table, every other token shares row 0.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from models.networks.diffusers_parts import ConfigMixin, ModelMixin, register_to_config


class WorldClip(ModelMixin, ConfigMixin):
    """Embeds diptychs and captions into one space, unit length each (Radford et al., arXiv 2103.00020)."""

    @register_to_config
    def __init__(
        self,
        vocabulary: Sequence[int],
        image_size: tuple[int, int],
        patch_size: tuple[int, int],
        embed_dim: int = 128,
        width: int = 128,
        head_width: int = 32,
        vision_layers: int = 4,
        text_layers: int = 3,
        context_length: int = 32,
        gap_seconds: float = 2 / 3,
    ) -> None:
        super().__init__()
        self.clip = CLIP(
            embed_dim,
            CLIPVisionCfg(
                layers=vision_layers,
                width=width,
                head_width=head_width,
                patch_size=tuple(patch_size),
                image_size=tuple(image_size),
            ),
            CLIPTextCfg(
                context_length=context_length,
                vocab_size=len(vocabulary),
                width=width,
                heads=width // head_width,
                layers=text_layers,
            ),
        )

    def embed_images(self, diptychs: Tensor) -> Tensor:
        """(N, 3, H, 2W) in [-1, 1] to (N, embed_dim), unit length."""
        return self.clip.encode_image(weave(diptychs, self.config.patch_size[1] // 2), normalize=True)

    def embed_captions(self, captions: Sequence[str]) -> Tensor:
        """Captions to (N, embed_dim), unit length."""
        ids = tokenize(captions, self.config.vocabulary, self.config.context_length)
        return self.clip.encode_text(ids.to(self.clip.logit_scale.device), normalize=True)


def weave(diptychs: Tensor, strip: int) -> Tensor:
    """(N, C, H, 2W), two frames side by side, to the same shape in strips of `strip` columns from either in turn."""
    return diptychs.unflatten(3, (2, -1, strip)).transpose(3, 4).flatten(3)


@cache
def _tokenizer() -> SimpleTokenizer:
    return SimpleTokenizer()


def vocabulary_of(words: Iterable[str]) -> list[int]:
    """Token ids of open_clip that these words use, in rising order: 0 (padding and unknown) comes first, the
    end token, by which open_clip finds the end of a text, last."""
    ids = _tokenizer()(sorted(words), context_length=8)
    return sorted({0, *ids.flatten().tolist()})


def tokenize(captions: Sequence[str], vocabulary: Sequence[int], context_length: int) -> Tensor:
    """Captions to rows of the small embedding table: (N, context_length) int64."""
    ids = _tokenizer()(list(captions), context_length=context_length)
    table = torch.tensor(vocabulary, device="cpu")
    rows = torch.searchsorted(table, ids).clamp(max=len(table) - 1)
    return torch.where(table[rows] == ids, rows, 0)
