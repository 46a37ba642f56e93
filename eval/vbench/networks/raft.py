"""RAFT (arXiv:2003.12039): torchvision's network with the weights published as raft-things.pth, in VBench's use of it.

Features of a frame are computed once though two pairs need them, and only the last of the 20 updates is upsampled;
neither changes the flow.
"""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

UPDATES = 20
SMALLEST_SIDE = 128  # below it the coarsest of the four correlation levels is one cell wide and divides by zero

ENCODER_NAMES = [
    (r"^conv1\.", "convnormrelu.0."),
    (r"^norm1\.", "convnormrelu.1."),
    (r"^conv2\.", "conv."),
    (r"\.conv(\d)\.", r".convnormrelu\1.0."),
    (r"\.norm(\d)\.", r".convnormrelu\1.1."),
]
UPDATE_NAMES = {
    "encoder.convc": "motion_encoder.convcorr",
    "encoder.convf": "motion_encoder.convflow",
    "encoder.conv.": "motion_encoder.conv.0.",
    "gru.convz": "recurrent_block.convgru{}.convz",
    "gru.convr": "recurrent_block.convgru{}.convr",
    "gru.convq": "recurrent_block.convgru{}.convq",
    "flow_head.": "flow_head.",
}


class RaftFlow(nn.Module):
    """Optical flow between consecutive frames, in pixels of the padded frame."""

    def __init__(self) -> None:
        # here, not above: this import takes seconds, and metrics are listed without it
        from torchvision.models import optical_flow

        super().__init__()
        self.network = optical_flow.raft_large(weights=None)
        self.steps = optical_flow._utils

    def features(self, frames: Tensor) -> Tensor:
        """(b, 3, H, W) float 0..255, padded, to matching features (b, 256, H / 8, W / 8)."""
        return self.network.feature_encoder(_scaled(frames))

    def flow(self, frames: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """(b, 2, H, W) flow from `frames` (padded, 0..255) whose features are `before` to those that have `after`."""
        net = self.network
        net.corr_block.build_pyramid(before, after)
        hidden_size = net.update_block.hidden_state_size
        context = net.context_encoder(_scaled(frames))
        hidden, context = torch.tanh(context[:, :hidden_size]), F.relu(context[:, hidden_size:])
        start = self.steps.make_coords_grid(len(frames), *before.shape[-2:]).to(before.device)
        place = start.clone()
        for _ in range(UPDATES):
            seen = net.corr_block.index_pyramid(centroids_coords=place)
            hidden, step = net.update_block(hidden, context, seen, place - start)
            place = place + step
        return self.steps.upsample_flow(flow=place - start, up_mask=net.mask_predictor(hidden))


def pad_to(images: Tensor, multiple: int) -> Tensor:
    """Repeat the border until both sides are multiples, the odd pixel right and below."""
    rows, columns = (-size % multiple for size in images.shape[-2:])
    return F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2), mode="replicate")


def load_raft(state: Mapping[str, Tensor]) -> RaftFlow:
    """RAFT from the published state (names of princeton-vl/RAFT), or from torchvision's own raft_large."""
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    flow = RaftFlow()
    converted = state if "mask_predictor.conv.weight" in state else dict(_converted(state))
    flow.network.load_state_dict(converted)
    return flow.eval().requires_grad_(False)


def _converted(state: Mapping[str, Tensor]):
    for name, tensor in state.items():
        if name.startswith(("fnet.", "cnet.")):
            encoder, rest = name.split(".", 1)
            if ".norm3." in rest:  # the same module as the shortcut's norm, stored twice
                continue
            for pattern, replacement in ENCODER_NAMES:
                rest = re.sub(pattern, replacement, rest)
            yield ("feature_encoder." if encoder == "fnet" else "context_encoder.") + rest, tensor
        elif name.startswith("update_block.mask."):
            part = name.removeprefix("update_block.mask.").replace("0.", "convrelu.0.", 1).replace("2.", "conv.", 1)
            yield f"mask_predictor.{part}", tensor
        else:
            yield f"update_block.{_update_name(name.removeprefix('update_block.'))}", tensor


def _update_name(name: str) -> str:
    theirs = next(part for part in UPDATE_NAMES if name.startswith(part))
    ours, rest = UPDATE_NAMES[theirs], name.removeprefix(theirs)
    if "{}" in ours:  # convz1.weight: the number is the half of the separable GRU
        return f"{ours.format(rest[0])}{rest[1:]}"
    if theirs in ("encoder.convc", "encoder.convf"):
        return f"{ours}{rest[0]}.0{rest[1:]}"
    return ours + rest


def _scaled(frames: Tensor) -> Tensor:
    return 2 * (frames / 255.0) - 1.0
