"""Small random networks in files named as VBench's weights are, for tests of everything but published numbers."""

from pathlib import Path

import open_clip
import timm
import torch
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from torch import nn

from eval.vbench.networks.amt import Amt
from eval.vbench.networks.musiq import Musiq
from eval.vbench.networks.raft import RaftFlow
from eval.vbench.weights import WEIGHTS


def small_clip(seed: int, patch: int = 32, width: int = 64) -> open_clip.CLIP:
    """open_clip's own class with OpenAI's activation, two layers deep."""
    torch.manual_seed(seed)
    model = open_clip.CLIP(
        embed_dim=width,
        vision_cfg=CLIPVisionCfg(layers=2, width=width, patch_size=patch, image_size=224),
        text_cfg=CLIPTextCfg(context_length=77, width=width, heads=width // 64, layers=2),
        quick_gelu=True,
    )
    for parameter in model.parameters():  # random biases, and weights that float16 holds exactly, as OpenAI's do
        values = parameter if parameter.ndim != 1 else parameter + 0.05 * torch.randn_like(parameter)
        parameter.data = values.detach().half().float()
    return model.eval()


def small_dino(seed: int) -> nn.Module:
    """timm's ViT with DINO's tensor names, patch 16, two layers deep."""
    torch.manual_seed(seed)
    model = timm.create_model(
        "vit_base_patch16_224", pretrained=False, num_classes=0, depth=2, embed_dim=128, num_heads=2
    )
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def small_musiq(seed: int) -> Musiq:
    torch.manual_seed(seed)
    network = Musiq(width=64, hidden=128, heads=1, layers=2)
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network


def raft_state(seed: int) -> dict[str, torch.Tensor]:
    """Full-size RAFT, shrunk: random weights would let the flow run away."""
    torch.manual_seed(seed)
    state = RaftFlow().network.state_dict()
    return {name: 0.5 * tensor if tensor.ndim > 1 else tensor for name, tensor in state.items()}


def save(folder: Path, name: str, state: object) -> Path:
    path = folder / WEIGHTS[name].places[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


def save_all(folder: Path, seed: int = 0) -> Path:
    """Every file but ViCLIP's; gives the folder."""
    save(folder, "clip_b32", small_clip(seed).state_dict())
    save(folder, "clip_l14", small_clip(seed + 1, patch=56).state_dict())
    torch.manual_seed(seed)
    save(folder, "aesthetic_head", nn.Linear(64, 1).state_dict())
    save(folder, "dino_b16", small_dino(seed).state_dict())
    save(folder, "musiq_spaq", small_musiq(seed).state_dict())
    save(folder, "raft_things", raft_state(seed))
    torch.manual_seed(seed)
    save(folder, "amt_s", {"state_dict": Amt().state_dict()})
    return folder
