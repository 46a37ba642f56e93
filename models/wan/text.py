"""Prompts for Wan: cleaned as its own code does, embedded by UMT5, and kept on disk.

An embedding is needed again for every clip of a prompt, and the encoder that makes it is four times the size of the
network. So it is loaded when a prompt is new, and dropped.
"""

import gc
import hashlib
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ftfy
import torch
from safetensors import safe_open
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
    """Wan's text encoder behind a folder of embeddings. `load` gives tokenizer and network when a prompt is new;
    `identity` names their weights."""

    def __init__(
        self, folder: Path, identity: str, load: Callable[[], Encoder], device: str = "cpu", length: int = LENGTH
    ) -> None:
        self.keep = False  # the encoder stays loaded: there is room for it
        self.folder, self.load, self.device, self.length = folder / identity[:16], load, device, length
        self._encoder: Encoder | None = None

    def embed(self, prompts: list[str]) -> Tensor:
        """(B, length, width), bf16: rows past the prompt are zeros. Made once per prompt and kept."""
        cleaned = [clean(prompt) for prompt in prompts]
        for prompt in dict.fromkeys(cleaned):
            if not self.path(prompt).is_file():
                self._make(prompt)
        if not self.keep:
            self.drop()
        rows = [self._read(prompt)[0] for prompt in cleaned]
        padded = [torch.cat([row, row.new_zeros(self.length - len(row), row.shape[1])]) for row in rows]
        return torch.stack(padded).to(self.device)

    def fill(self, prompts: list[str]) -> int:
        """Embed what is new of `prompts` with one load of the encoder; returns how many were."""
        fresh = [prompt for prompt in dict.fromkeys(map(clean, prompts)) if not self.path(prompt).is_file()]
        for prompt in fresh:
            self._make(prompt)
        self.drop()
        return len(fresh)

    def notices(self, prompt: str) -> list[str]:
        """What is cut off a prompt that is in the cache."""
        path = self.path(clean(prompt))
        tokens = self._read(clean(prompt))[1] if path.is_file() else 0
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

    def _read(self, cleaned: str) -> tuple[Tensor, int]:
        with safe_open(self.path(cleaned), "pt") as file:
            return file.get_tensor("rows"), int(file.metadata()["tokens"])


def no_encoder() -> Encoder:
    """Stands for an encoder that is not on this machine."""
    raise RequestError(
        "this prompt is not in the cache and the text encoder (UMT5, 11.4 GB) is not on this machine; "
        "embed the prompt where it is by `embed-prompts` and copy the cache, or put the file below $WORKBENCH_WEIGHTS"
    )
