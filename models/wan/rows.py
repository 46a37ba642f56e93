"""Released checkpoints of Wan 2.1's family as rows: files, licences, and how each is sampled. Needs no torch.

Digests are those their publishers give; None where none was found. Sizes of networks are what 1.3 B parameters in
float32 take, the size of the one file whose size is published: a file that holds several networks is larger.
"""

from dataclasses import dataclass
from typing import Any

from models.wan.shapes import SHAPE_1B, SHAPE_14B, Shape

TEXT_REPO = "Wan-AI/Wan2.1-T2V-1.3B"


@dataclass(frozen=True)
class HubFile:
    """A file on the Hugging Face hub; `gigabytes` 10^9 bytes."""

    repo: str
    path: str
    gigabytes: float
    sha256: str | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Checkpoint:
    """A released network: its file, the `entry` of its wrapper, a `lora` to merge, the `shape` of the transformer;
    `shards` are the files that a network in several lies in beside the first."""

    file: HubFile
    entry: str | None = None
    lora: HubFile | None = None
    shape: Shape = SHAPE_1B
    shards: tuple[HubFile, ...] = ()


VAE = HubFile(TEXT_REPO, "Wan2.1_VAE.pth", 0.508)
UMT5 = HubFile(TEXT_REPO, "models_t5_umt5-xxl-enc-bf16.pth", 11.36)
TOKENIZER = tuple(
    HubFile(TEXT_REPO, f"google/umt5-xxl/{name}", size)
    for name, size in (
        ("tokenizer.json", 0.0168),
        ("tokenizer_config.json", 0.0001),
        ("special_tokens_map.json", 0.0001),
    )
)
# TAEHV, for pictures while a clip is made: on GitHub, by either name
TINY = tuple(HubFile("madebyollin/taehv", name, 0.023) for name in ("taew2_1.safetensors", "taew2_1.pth"))
NETWORK_GB = 5.676  # 1.3B in float32; what files with several networks take beyond it is not known here
LARGE_GB = 28.577  # 14B in bf16

CC = "CC BY-NC-SA 4.0"
APACHE = "Apache-2.0"
# what is common to the causal students of 1.3B
STUDENT = {
    "family": "wan",
    "tasks": ("t2v", "v2v"),
    "shift": 5.0,
    "first_chunk": 3,
    "chunk": 3,
    "latent_frames": 21,
    "window": 21,
    "sink": 0,
    "sink_follows": False,
    "fps": 16,
    "size": (480, 832),
    "sizes": ((832, 480), (624, 624), (544, 720), (240, 416)),
    "prompt_limit": 20_000,
    "steps": (1, 2, 3, 4),
    "trained_steps": (4,),
    "default_steps": 4,
    "weights": "",
}
FRAMEWISE: dict[str, Any] = {"first_chunk": 1, "chunk": 1, "tasks": ("t2v", "i2v", "v2v")}


def _row(
    name: str,
    title: str,
    paper: str,
    note: str,
    repo: str,
    path: str,
    entry: str | None,
    license_code: str,
    license_weights: str,
    lora: HubFile | None = None,
    sha256: str | None = None,
    gigabytes: float = NETWORK_GB,
    shape: Shape = SHAPE_1B,
    shards: tuple[HubFile, ...] = (),
    **values: Any,
) -> dict[str, Any]:
    checkpoint = Checkpoint(HubFile(repo, path, gigabytes, sha256), entry, lora, shape, shards)
    license = license_weights if license_code == license_weights else f"weights {license_weights}; code {license_code}"
    head = {"name": name, "title": title, "paper": paper, "note": note, "license": license, "checkpoint": checkpoint}
    return STUDENT | values | head


CAUSAL_FORCING = ("zhuhz22/Causal-Forcing", "Causal Forcing (arXiv 2602.02214)")
LARGE_REPO = "Wan-AI/Wan2.1-T2V-14B"
STREAM = ("jerryfeng/StreamDiffusionV2", "StreamDiffusionV2 (arXiv 2511.07399)")
FROM_VIDEO: dict[str, Any] = {
    "first_chunk": 1,
    "chunk": 1,
    "tasks": ("v2v",),
    "shift": 8.0,
    "sigma_table": True,
    "steps": (2, 3, 4),
    "trained_steps": (2, 4),
    "default_steps": 2,
    "step_lists": ((700, 500), (700, 500, 400), (700, 500, 400, 200)),
    "window": 6,
    "sink": 3,
    "window_always": True,
}
# examples: these models were trained on long, detailed descriptions
PROMPTS = (
    "A tabby cat sits at the bow of a small wooden sailing boat at sunset. The wind ruffles its fur, waves roll by "
    "behind it, and warm light glitters on the water. The camera drifts slowly to the left.",
    "A close view of a potter's hands shaping wet clay on a spinning wheel in a bright workshop. The walls of the "
    "bowl rise and widen between the fingers, and drops of water run down its side.",
    "A steam train crosses a tall stone bridge in a green mountain valley on a misty morning. White smoke trails "
    "behind it and a river glints far below. Seen from the air, the camera following the train.",
    "A woman in a yellow raincoat walks through a narrow street at night. Neon signs are mirrored in the puddles, "
    "people with umbrellas pass by, and steam rises from a food stall beside her.",
    "Time passes quickly over a desert road: clouds race across a blue sky, their shadows glide over red rocks, and "
    "the light turns from noon to evening.",
)
RCM = ("worstcoder/rcm-Wan", "rCM (arXiv 2510.08431)")
# all 77 frames are one chunk; the list is that of the angles atan(80), 1.5, 1.4 and 1
ONE_CHUNK: dict[str, Any] = {
    "first_chunk": 20,
    "chunk": 20,
    "latent_frames": 20,
    "window": 20,
    "most_frames": 77,
    "tasks": ("t2v",),
    "trained_steps": (1, 2, 3, 4),
    "step_lists": tuple((987.654, 933.781, 852.895, 608.979)[:steps] for steps in (1, 2, 3, 4)),
}
PLUS = "Causal Forcing++ (arXiv 2605.15141)"
ROWS: tuple[dict[str, Any], ...] = (
    _row(
        "self-forcing-wan-1.3b", "Self Forcing, Wan 1.3B", "Self Forcing (arXiv 2506.08009)",
        "causal, four steps, chunks of three, distribution matching on its own rollouts",
        "gdhe17/Self-Forcing", "checkpoints/self_forcing_dmd.pt", "generator_ema", APACHE, CC,
    ),
    _row(
        "causvid-wan-1.3b", "CausVid, Wan 1.3B", "CausVid (arXiv 2412.07772)",
        "causal, three steps of its own list, sigma by table",
        "tianweiy/CausVid", "autoregressive_checkpoint/model.pt", "generator", CC, CC,
        shift=8.0, steps=(3,), trained_steps=(3,), default_steps=3, step_lists=((1000, 757, 522),), sigma_table=True,
    ),
    _row(
        "causvid-warp-wan-1.3b", "CausVid, four warped steps, Wan 1.3B", "CausVid (arXiv 2412.07772)",
        "causal, four steps warped with shift 8",
        "tianweiy/CausVid", "autoregressive_checkpoint_warp_4step_cfg2/model.pt", "generator", CC, CC,
        shift=8.0, sigma_table=True,
    ),
    _row(
        "longlive-wan-1.3b", "LongLive, Wan 1.3B", "LongLive (arXiv 2509.22622)",
        "causal, window of 12 latent frames with the first three kept, for clips of a minute and prompts that change",
        "Efficient-Large-Model/LongLive-1.3B", "models/longlive_base.pt", "generator", APACHE, APACHE,
        lora=HubFile("Efficient-Large-Model/LongLive-1.3B", "models/lora.pt", 0.7),
        window=12, sink=3, window_always=True,
    ),
    _row(
        "reward-forcing-wan-1.3b", "Reward Forcing, Wan 1.3B", "Reward Forcing (arXiv 2512.04678)",
        "causal, window of 9 with a sink of 3; its released sampler also blends what is evicted into the sink, which "
        "is not done here",
        "JaydenLu666/Reward-Forcing-T2V-1.3B", "rewardforcing.pt", None, APACHE, APACHE,
        window=9, sink=3, window_always=True,
    ),
    _row(
        "causal-forcing-wan-1.3b", "Causal Forcing, Wan 1.3B", CAUSAL_FORCING[1],
        "Self Forcing from a causal teacher, chunks of three",
        CAUSAL_FORCING[0], "chunkwise/causal_forcing.pt", "generator", APACHE, APACHE,
    ),
    _row(
        "causal-forcing-frames-wan-1.3b", "Causal Forcing frame by frame, Wan 1.3B", CAUSAL_FORCING[1],
        "one latent frame at a time, from text or from a picture",
        CAUSAL_FORCING[0], "framewise/causal_forcing.pt", "generator_ema", APACHE, APACHE, **FRAMEWISE,
    ),
    _row(
        "causal-forcing-2-wan-1.3b", "Causal Forcing++ two steps, Wan 1.3B", PLUS,
        "frame by frame, two steps, four on the first chunk",
        CAUSAL_FORCING[0], "causal-forcing++/framewise-2step.pt", None, APACHE, APACHE,
        trained_steps=(2,), default_steps=2, first_chunk_steps=4, **FRAMEWISE,
    ),
    _row(
        "causal-forcing-1-wan-1.3b", "Causal Forcing++ one step, Wan 1.3B", PLUS,
        "frame by frame, one step, four on the first chunk",
        CAUSAL_FORCING[0], "causal-forcing++/framewise-1step.pt", None, APACHE, APACHE,
        sha256="bdb1b475fc88d528f510158a0990cd457f02c661b527ceb11ca9e4728533e2d0",
        trained_steps=(1,), default_steps=1, first_chunk_steps=4, **FRAMEWISE,
    ),
    _row(
        "one-forcing-wan-1.3b", "One-Forcing, Wan 1.3B", "One-Forcing (arXiv 2605.23458)",
        "frame by frame, one step, a GAN against real clips on the shared critic",
        "JiaqiFeng/OneForcing", "checkpoints/one_forcing.pt", "generator_ema", APACHE, "not stated where it was read",
        trained_steps=(1,), default_steps=1, **FRAMEWISE,
    ),
    _row(
        "rcm-wan-1.3b", "rCM, Wan 1.3B", RCM[1],
        "few steps, the whole clip as one chunk in which all frames see one another",
        RCM[0], "rCM_Wan2.1_T2V_1.3B_480p.pt", None, APACHE, APACHE, gigabytes=2.84, **ONE_CHUNK,
    ),
    _row(
        "rcm-wan-14b", "rCM, Wan 14B", RCM[1], "as its smaller sister",
        RCM[0], "rCM_Wan2.1_T2V_14B_480p.pt", None, APACHE, APACHE, gigabytes=28.6, shape=SHAPE_14B, **ONE_CHUNK,
    ),
    _row(
        "wan-2.1-1.3b", "Wan 2.1 T2V 1.3B (teacher)", "Wan 2.1 (arXiv 2503.20314)",
        "bidirectional, many steps down the flow with guidance; Euler here, where its own code has UniPC",
        TEXT_REPO, "diffusion_pytorch_model.safetensors", None, APACHE, APACHE,
        causal=False, tasks=("t2v",), steps=(8, 16, 32, 48), trained_steps=(), default_steps=48, guidance_scale=6.0,
        shift=8.0,
    ),
    _row(
        "streamdiffusion-wan-1.3b", "StreamDiffusionV2, Wan 1.3B", STREAM[1],
        "video to video, frame by frame, trained for strength 0.7; its released sampler also takes noise by motion, "
        "which is not done here",
        STREAM[0], "wan_causal_dmd_v2v/model.pt", "generator", APACHE, f"not stated; made from CausVid's, {CC}",
        **FROM_VIDEO,
    ),
    _row(
        "streamdiffusion-wan-14b", "StreamDiffusionV2, Wan 14B", STREAM[1],
        "as its smaller sister; the size of the file is that of one network in bf16",
        STREAM[0], "wan_causal_dmd_v2v_14b/model.pt", "generator", APACHE, f"not stated; made from CausVid's, {CC}",
        gigabytes=LARGE_GB, shape=SHAPE_14B, **FROM_VIDEO,
    ),
    _row(
        "krea-realtime-wan-14b", "Krea Realtime, Wan 14B", "Krea Realtime Video (Self Forcing, arXiv 2506.08009)",
        "causal, four steps, sees the chunk before; as released, it computes the cache again from clean frames at "
        "every chunk, which is not done here",
        "krea/krea-realtime-video", "krea-realtime-video-14b.safetensors", None, CC, CC,
        gigabytes=LARGE_GB, shape=SHAPE_14B, step_lists=((1000, 937, 833, 625),), steps=(4,), window=6,
        window_always=True, fps=24,
    ),
    _row(
        "wan-2.1-14b", "Wan 2.1 T2V 14B (teacher)", "Wan 2.1 (arXiv 2503.20314)",
        "bidirectional, many steps down the flow with guidance; Euler here, where its own code has UniPC",
        LARGE_REPO, "diffusion_pytorch_model.safetensors.index.json", None, APACHE, APACHE,
        gigabytes=0.0001, shape=SHAPE_14B,
        shards=tuple(
            HubFile(LARGE_REPO, f"diffusion_pytorch_model-{number:05d}-of-00006.safetensors", 57.154 / 6)
            for number in range(1, 7)
        ),
        causal=False, tasks=("t2v",), steps=(8, 16, 32, 48), trained_steps=(), default_steps=48, guidance_scale=6.0,
    ),
)  # fmt: skip
