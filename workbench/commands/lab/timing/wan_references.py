"""Checkouts of the reference repositories, run beside this repository with random weights, for equality and for speed.

Below one folder `sf` is guandeh17/Self-Forcing, `cf` thu-ml/Causal-Forcing, `longlive-v1` branch v1.0 of
NVlabs/LongLive, `causvid` tianweiy/CausVid. Nothing of them is changed but what needs a GPU or a package of its own:
their attention kernel is torch's, and parts that load files are left out.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import flex_attention

ROOTS = ("wan", "utils", "pipeline", "demo_utils", "causvid")
MEMORY = (
    *("gpu", "get_cuda_free_memory_gb", "DynamicSwapInstaller", "log_gpu_memory"),
    "move_model_to_device_with_memory_preservation",
)
USUAL = {
    "wrapper": "utils.wan_wrapper",
    "causal": "wan.modules.causal_model",
    "model": "wan.modules.model",
    "pipeline": "pipeline.causal_inference",
}
BASE = "causvid.models.wan.wan_base.modules"
CAUSVID = {
    "wrapper": "causvid.models.wan.wan_wrapper",
    "causal": "causvid.models.wan.causal_model",
    "model": f"{BASE}.model",
    "pipeline": "causvid.models.wan.causal_inference",
}
PACKAGES = ("wan.modules", "causvid.models", "causvid.models.wan", "causvid.models.wan.wan_base", BASE)
LEFT_OUT = {
    **{f"{place}.tokenizers": ("HuggingfaceTokenizer",) for place in ("wan.modules", BASE)},
    **{f"{place}.t5": ("umt5_xxl",) for place in ("wan.modules", BASE)},
    **{f"{place}.vae": ("_video_vae",) for place in ("wan.modules", BASE)},
    "wan.modules.causal_model_infinity": ("CausalWanModel",),
    "causvid.models": ("get_diffusion_wrapper", "get_text_encoder_wrapper", "get_vae_wrapper"),
    "demo_utils.memory": MEMORY,
    "utils.memory": MEMORY,
}
SMALL = {"dim": 96, "num_heads": 4, "ffn_dim": 192, "num_layers": 3, "freq_dim": 32, "text_dim": 40, "text_len": 12}
FULL = {
    "dim": 1536,
    "num_heads": 12,
    "ffn_dim": 8960,
    "num_layers": 30,
    "freq_dim": 256,
    "text_dim": 4096,
    "text_len": 512,
}
CHANNELS = {96: 4, 1536: 16}  # of latents, by width
VAE = SimpleNamespace(decode_to_pixel=lambda latents, **_: latents, model=SimpleNamespace(clear_cache=int))


def reference(folder: Path, name: str) -> SimpleNamespace:
    """The modules of a checkout: `wrapper`, `causal`, `model` and `pipeline`."""
    folder, places = folder / name, CAUSVID if name == "causvid" else USUAL
    kept = {key: module for key, module in sys.modules.items() if key.partition(".")[0] in ROOTS}
    for key in kept:
        del sys.modules[key]
    try:
        for package in (*ROOTS, *PACKAGES):  # packages without what their __init__ loads
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = [str(folder / package.replace(".", "/"))]
        for module, names in LEFT_OUT.items():
            sys.modules.setdefault(module, ModuleType(module))
            vars(sys.modules[module]).update(dict.fromkeys(names))
        modules = {what: importlib.import_module(place) for what, place in places.items()}
        found = SimpleNamespace(name=name, **modules)
    finally:
        for key in [key for key in sys.modules if key.partition(".")[0] in ROOTS]:
            del sys.modules[key]
        sys.modules.update(kept)
    found.causal.attention = found.model.flash_attention = _attention
    found.causal.flex_attention = flex_attention
    return found


def causvid_pipeline(code: SimpleNamespace, wrapper: nn.Module, text: Tensor, frame_tokens: int, held: int, **args):
    """CausVid's own sampler with `wrapper`, its caches made for this size, its tensors on the CPU; so that its list is
    warped here, as its own line does on a GPU."""
    code.pipeline.torch = _OnCpu()
    warped = args.pop("warp_denoising_step")
    values = {"model_name": "", "num_frame_per_block": 3, "warp_denoising_step": False, **args}
    encoder = {"text_encoder": lambda text_prompts: {"prompt_embeds": text}}
    for part, made in ({"diffusion": wrapper, "vae": VAE} | encoder).items():
        setattr(code.pipeline, f"get_{part}_wrapper", lambda model_name, made=made: lambda: made)
    pipeline = code.pipeline.InferencePipeline(SimpleNamespace(**values), "cpu")
    if warped:
        pipeline.denoising_step_list = wrapper.scheduler.timesteps[1000 - pipeline.denoising_step_list]
    pipeline.frame_seq_length, pipeline.num_transformer_blocks = frame_tokens, SMALL["num_layers"]
    pipeline.kv_cache1, pipeline.crossattn_cache = _caches(held * frame_tokens, SMALL, text)
    return pipeline


class _OnCpu:
    """torch, for code that makes its tensors on a GPU."""

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)

    def ones(self, *size: object, **options: object) -> Tensor:
        return torch.ones(*size, **{key: value for key, value in options.items() if key != "device"})


def _attention(q: Tensor, k: Tensor, v: Tensor, k_lens: Tensor | None = None, **_: object) -> Tensor:
    """(B, tokens, heads, head_dim) each; keys past `k_lens`, the same for all, are not seen."""
    if k_lens is not None:
        k, v = k[:, : int(k_lens[0])], v[:, : int(k_lens[0])]
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def make_wrapper(
    code: SimpleNamespace, *, causal: bool, shift: float = 5.0, sizes: dict[str, int] = SMALL, **options: int
) -> nn.Module:
    """The reference's own wrapper around its network with random weights, which are as small as its width asks for."""
    torch.manual_seed(0)
    kind, channels = code.causal.CausalWanModel if causal else code.model.WanModel, CHANNELS[sizes["dim"]]
    network = kind(in_dim=channels, out_dim=channels, **sizes, **options).eval().requires_grad_(False)
    for parameter in network.parameters():
        mean = 1.0 if parameter.ndim == 1 and len(parameter) > 90 else 0.0
        nn.init.normal_(parameter, mean, min(0.1, sizes["dim"] ** -0.5))
    wrapper = code.wrapper.WanDiffusionWrapper.__new__(code.wrapper.WanDiffusionWrapper)
    nn.Module.__init__(wrapper)
    wrapper.model, wrapper.uniform_timestep, wrapper.seq_len = network, not causal, 32760
    wrapper.scheduler = code.wrapper.FlowMatchScheduler(shift=shift, sigma_min=0.0, extra_one_step=True)
    wrapper.scheduler.set_timesteps(1000, training=True)
    wrapper.post_init()
    return wrapper


def make_pipeline(
    code: SimpleNamespace,
    wrapper: nn.Module,
    text: Tensor,
    frame_tokens: int,
    held: int,
    sizes: dict[str, int] = SMALL,
    **args: Any,
) -> Any:
    """The reference's own sampler, where `text` (1, L, D) is and in its dtype; its caches, which it makes for 1.3B
    alone, hold `held` latent frames here."""
    usual = {
        "denoising_step_list": [1000, 750, 500, 250],
        "warp_denoising_step": True,
        "num_frame_per_block": 3,
        "independent_first_frame": False,
        "context_noise": 0,
        "model_kwargs": SimpleNamespace(local_attn_size=wrapper.model.local_attn_size),
    }
    pipeline = code.pipeline.CausalInferencePipeline(
        SimpleNamespace(**usual | args),
        text.device,
        generator=wrapper,
        text_encoder=lambda text_prompts: {"prompt_embeds": text},
        vae=VAE,
    )
    pipeline.frame_seq_length, pipeline.num_transformer_blocks = frame_tokens, sizes["num_layers"]
    pipeline.kv_cache1, pipeline.crossattn_cache = _caches(held * frame_tokens, sizes, text)
    pipeline._initialize_kv_cache = pipeline._initialize_crossattn_cache = lambda **_: None
    return pipeline


def _caches(tokens: int, sizes: dict[str, int], like: Tensor) -> tuple[list[dict], list[dict]]:
    """Empty caches of all layers for `tokens`, and of the prompt, where `like` is and in its dtype."""
    shape = (1, tokens, sizes["num_heads"], sizes["dim"] // sizes["num_heads"])
    layers = range(sizes["num_layers"])
    own = [
        {name: like.new_zeros(shape) for name in ("k", "v")}
        | {name: like.new_zeros(1, dtype=torch.long) for name in ("global_end_index", "local_end_index")}
        for _ in layers
    ]
    return own, [{"k": None, "v": None, "is_init": False} for _ in layers]
