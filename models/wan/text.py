"""Prompts for Wan: cleaned as its own code does, embedded by UMT5, and kept on disk.

An embedding is needed again for every clip of a prompt, and the encoder that makes it is four times the size of the
network. So it is loaded when a prompt is new, and dropped.
"""

import gc
import hashlib
import html
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import ftfy
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models.types import RequestError
from models.whole_files import replacing

LENGTH = 512
Encoder = tuple[Any, nn.Module]  # a tokenizer and the network


def clean(prompt: str) -> str:
    """The prompt without broken Unicode, HTML marks and runs of white space, as Wan's code cleans it."""
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(prompt))).split())


class CachedTextEncoder:
    """Wan's text encoder behind a folder of embeddings. `load` gives tokenizer and network when a prompt is new,
    `tokenizer` the first alone; `identity` names their weights."""

    def __init__(
        self,
        folder: Path,
        identity: str,
        load: Callable[[], Encoder],
        device: str = "cpu",
        length: int = LENGTH,
        tokenizer: Callable[[], Any] | None = None,
    ) -> None:
        self.keep = False  # the encoder stays loaded: there is room for it
        self.width: int | None = None  # what the network takes, where that is known
        self.folder, self.load, self.device, self.length = folder / identity[:16], load, device, length
        self._tokenizer = cache(tokenizer) if tokenizer else None
        self._encoder: Encoder | None = None

    def embed(self, prompts: list[str]) -> Tensor:
        """(B, length, width), bf16: rows past the prompt are zeros. Made once per prompt and kept."""
        cleaned = [clean(prompt) for prompt in prompts]
        for prompt in dict.fromkeys(cleaned):
            if self._kept(prompt) is None:
                self._make(prompt)
        if not self.keep:
            self.drop()
        rows = [found[0] for prompt in cleaned if (found := self._kept(prompt))]
        if self.width and any(row.shape[1] != self.width for row in rows):
            raise RequestError(
                f"the text encoder gives {rows[0].shape[1]} numbers a token and the network takes {self.width}; give "
                "the UMT5 that belongs to the network"
            )
        padded = [torch.cat([row, row.new_zeros(self.length - len(row), row.shape[1])]) for row in rows]
        return torch.stack(padded).to(self.device)

    def fill(self, prompts: list[str]) -> int:
        """Embed what is new of `prompts` with one load of the encoder; returns how many were."""
        fresh = [prompt for prompt in dict.fromkeys(map(clean, prompts)) if self._kept(prompt) is None]
        for prompt in fresh:
            self._make(prompt)
        self.drop()
        return len(fresh)

    def notices(self, prompt: str) -> list[str]:
        """What is cut off a prompt."""
        kept = self._kept(clean(prompt))
        tokens = kept[1] if kept else self._count(clean(prompt))
        if tokens <= self.length:
            return []
        return [f"the prompt has {tokens} tokens and the model reads the first {self.length}"]

    def drop(self) -> None:
        """Forget the encoder: its memory is needed for the network."""
        if self._encoder is not None:
            self._encoder = None
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def path(self, cleaned: str) -> Path:
        """Where the embedding of a cleaned prompt is kept."""
        return self.folder / f"{hashlib.sha256(f'{self.length}|{cleaned}'.encode()).hexdigest()}.safetensors"

    @torch.no_grad()
    def _make(self, cleaned: str) -> None:
        if self._encoder is None:
            self._encoder = self.load()
        tokenizer, model = self._encoder
        whole = len(tokenizer(cleaned).input_ids)
        batch = tokenizer(cleaned, truncation=True, max_length=self.length, return_tensors="pt")
        device = next(model.parameters()).device
        # alone and without padding: attention masks it, so rows of the prompt are the same
        hidden = model(batch.input_ids.to(device), batch.attention_mask.to(device)).last_hidden_state[0]
        path = self.path(cleaned)
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"prompt": json.dumps(cleaned), "tokens": str(whole)}
        with replacing(path, durable=False) as temporary:
            save_file({"rows": hidden.to("cpu", torch.bfloat16).contiguous()}, temporary, metadata=told)

    def _count(self, cleaned: str) -> int:
        """Tokens of a new prompt; 0 where there is no tokenizer, or nobody need ask: a token is a byte or more."""
        if self._tokenizer is None or len(cleaned.encode()) + 2 <= self.length:
            return 0
        return len(self._tokenizer()(cleaned).input_ids)

    def _kept(self, cleaned: str) -> tuple[Tensor, int] | None:
        """The rows of a prompt and how many tokens it has; None where they are not kept, or damaged."""
        try:
            with safe_open(self.path(cleaned), "pt") as file:
                return file.get_tensor("rows"), int(file.metadata()["tokens"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None


def no_encoder(lacking: str) -> Encoder:
    """Stands for an encoder that is not on this machine, for what is `lacking`."""
    raise RequestError(
        f"this prompt is not in the cache and {lacking} is not on this machine; embed the prompt where it is by "
        "`embed-prompts` and copy the cache, or put the file below $WORKBENCH_WEIGHTS"
    )
