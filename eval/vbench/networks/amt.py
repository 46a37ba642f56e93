"""AMT-S (arXiv:2304.09790), all-pairs multi-field transforms for frame interpolation; published names load.

Predicts the frame midway between two. Inference only, at full scale, for the midpoint, as VBench uses it.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS, SKIP, FLOWS = (20, 32, 44, 56), 20, 3
LEVELS, RADIUS = 4, 3
SMALLEST_SIDE = 128  # below it the coarsest of the four correlation levels is one cell wide and divides by zero


def conv_prelu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.PReLU(outputs))


class Bottleneck(nn.Module):
    """RAFT's small residual unit with instance norm, which has no weights."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs // 4, 1)
        self.conv2 = nn.Conv2d(outputs // 4, outputs // 4, 3, stride, 1)
        self.conv3 = nn.Conv2d(outputs // 4, outputs, 1)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride)) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv in (self.conv1, self.conv2, self.conv3):
            y = F.relu_(F.instance_norm(conv(y)))
        shortcut = x if self.downsample is None else F.instance_norm(self.downsample(x))
        return F.relu_(shortcut + y)


class MatchingEncoder(nn.Module):
    """Images to features for matching, an eighth of their size."""

    def __init__(self, features: int = 84) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, 2, 3)
        self.layer1 = nn.Sequential(Bottleneck(32, 32, 1), Bottleneck(32, 32, 1))
        self.layer2 = nn.Sequential(Bottleneck(32, 64, 2), Bottleneck(64, 64, 1))
        self.layer3 = nn.Sequential(Bottleneck(64, 96, 2), Bottleneck(96, 96, 1))
        self.conv2 = nn.Conv2d(96, features, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu_(F.instance_norm(self.conv1(images)))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class Pyramid(nn.Module):
    """Images to features at 1/2, 1/4, 1/8 and 1/16 of their size."""

    def __init__(self) -> None:
        super().__init__()
        for number, (inputs, outputs) in enumerate(zip((3, *CHANNELS), CHANNELS, strict=False), 1):
            self.add_module(
                f"pyramid{number}", nn.Sequential(conv_prelu(inputs, outputs, 2), conv_prelu(outputs, outputs))
            )

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x := level(x) for level in self.children()]


class SideBlock(nn.Module):
    """IFRNet's residual unit: every second convolution sees only the last SKIP channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv3 = conv_prelu(width, width), conv_prelu(width, width)
        self.conv2, self.conv4 = conv_prelu(SKIP, SKIP), conv_prelu(SKIP, SKIP)
        self.conv5, self.prelu = nn.Conv2d(width, width, 3, 1, 1), nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for whole, side in ((self.conv1, self.conv2), (self.conv3, self.conv4)):
            y = whole(y)
            y = torch.cat([y[:, :-SKIP], side(y[:, -SKIP:])], 1)
        return self.prelu(x + self.conv5(y))


class Decoder(nn.Module):
    """Features, and both flows so far, to an output of twice the size."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.convblock = nn.Sequential(
            conv_prelu(inputs, width), SideBlock(width), nn.ConvTranspose2d(width, outputs, 4, 2, 1)
        )

    def forward(self, *parts: Tensor) -> Tensor:
        return self.convblock(torch.cat(parts, 1))


class Update(nn.Module):
    """Corrects flows (b, 4, h, w) and features from correlations; `scale` is how much finer the features are."""

    def __init__(
        self, channels: int, scale: int, hidden: int = 76, flow: int = 20, corr: int = 64, out: int = 68
    ) -> None:
        super().__init__()
        self.scale = scale
        self.convc1 = nn.Conv2d(2 * LEVELS * (2 * RADIUS + 1) ** 2, corr, 1)
        self.convf1 = nn.Conv2d(4, 2 * flow, 7, padding=3)
        self.convf2 = nn.Conv2d(2 * flow, flow, 3, padding=1)
        self.conv = nn.Conv2d(corr + flow, out, 3, padding=1)
        self.gru = self._two(out + 4 + channels, hidden, hidden)
        self.feat_head = self._two(hidden, hidden, channels)
        self.flow_head = self._two(hidden, hidden, 4)

    @staticmethod
    def _two(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, hidden, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(hidden, outputs, 3, padding=1)
        )

    def forward(self, features: Tensor, flow: Tensor, corr: Tensor) -> tuple[Tensor, Tensor]:
        corr = F.leaky_relu(self.convc1(corr), 0.1)
        moved = F.leaky_relu(self.convf2(F.leaky_relu(self.convf1(flow), 0.1)), 0.1)
        both = F.leaky_relu(self.conv(torch.cat([corr, moved], 1)), 0.1)
        state = self.gru(torch.cat([both, flow, resized(features, 1 / self.scale)], 1))
        return resized(self.feat_head(state), self.scale), self.scale * resized(self.flow_head(state), self.scale)


class Correlations:
    """All-pairs correlation of two feature maps, both ways, in a pyramid; called with places, gives what is there."""

    def __init__(self, first: Tensor, second: Tensor) -> None:
        channels, self.height, self.width = first.shape[1:]
        volume = torch.einsum("bcn,bcm->bnm", first.flatten(2), second.flatten(2)) / channels**0.5
        self.pyramids = [self._pyramid(v) for v in (volume, volume.transpose(1, 2))]
        side = torch.linspace(-RADIUS, RADIUS, 2 * RADIUS + 1, device=first.device)
        self.around = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=-1)[None]

    def _pyramid(self, volume: Tensor) -> list[Tensor]:
        levels = [volume.reshape(-1, 1, self.height, self.width)]
        while len(levels) < LEVELS:
            levels.append(F.avg_pool2d(levels[-1], 2, 2))
        return levels

    def __call__(self, *places: Tensor) -> Tensor:
        """Two (b, 2, h, w) coordinate fields to (b, 2 * levels * window, h, w)."""
        seen = []
        for pyramid, place in zip(self.pyramids, places, strict=True):
            batch, _, height, width = place.shape
            centre = place.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
            for level, volume in enumerate(pyramid):
                size = torch.tensor([volume.shape[3] - 1, volume.shape[2] - 1], device=volume.device)
                spot = 2 * (centre / 2**level + self.around) / size - 1
                seen.append(F.grid_sample(volume, spot, align_corners=True).view(batch, height, width, -1))
        return torch.cat(seen, dim=-1).permute(0, 3, 1, 2)


class Amt(nn.Module):
    """Two frames (b, 3, h, w) in 0..1, sides multiples of 16 and at least 128, to the one between them."""

    def __init__(self) -> None:
        super().__init__()
        c1, c2, c3, c4 = CHANNELS
        self.feat_encoder, self.encoder = MatchingEncoder(), Pyramid()
        self.decoder4 = Decoder(2 * c4 + 1, 2 * c4, c3 + 4)
        self.decoder3 = Decoder(3 * c3 + 4, 3 * c3, c2 + 4)
        self.decoder2 = Decoder(3 * c2 + 4, 3 * c2, c1 + 4)
        self.decoder1 = Decoder(3 * c1 + 4, 3 * c1, 8 * FLOWS)
        self.update4, self.update3, self.update2 = Update(c3, 1), Update(c2, 2), Update(c1, 4)
        self.comb_block = nn.Sequential(
            nn.Conv2d(3 * FLOWS, 6 * FLOWS, 3, 1, 1), nn.PReLU(6 * FLOWS), nn.Conv2d(6 * FLOWS, 3, 3, 1, 1)
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        mean = torch.cat([first, second], 2).mean(1, keepdim=True).mean(2, keepdim=True).mean(3, keepdim=True)
        first, second = first - mean, second - mean
        height, width = first.shape[-2:]
        corr = Correlations(self.feat_encoder(first), self.feat_encoder(second))
        grid = coordinates(height // 8, width // 8, first.device)
        finer0, finer1 = self.encoder(first), self.encoder(second)

        half = torch.full_like(finer0[3][:, :1], 0.5)
        out = self.decoder4(finer0[3], finer1[3], half)
        flow, features = self._corrected(out[:, :4], out[:, 4:], self.update4, corr, grid)
        for level, decoder, update in ((2, self.decoder3, self.update3), (1, self.decoder2, self.update2)):
            out = self._decoded(decoder, features, finer0[level], finer1[level], flow)
            doubled = out[:, :4] + 2.0 * resized(flow, 2)
            flow, features = self._corrected(doubled, out[:, 4:], update, corr, grid)
        out = self._decoded(self.decoder1, features, finer0[0], finer1[0], flow)
        return self._combined(out, flow, first, second, mean).clamp(0, 1)

    @staticmethod
    def _decoded(decoder: Decoder, features: Tensor, f0: Tensor, f1: Tensor, flow: Tensor) -> Tensor:
        return decoder(features, warp(f0, flow[:, :2]), warp(f1, flow[:, 2:]), flow)

    @staticmethod
    def _corrected(flow, features, update: Update, corr: Correlations, grid: Tensor) -> tuple[Tensor, Tensor]:
        """One look at the correlations where the flows to either frame, doubled for the whole way, point."""
        coarse = flow if update.scale == 1 else resized(flow, 1 / update.scale) / update.scale
        seen = corr(grid + 2.0 * coarse[:, 2:], grid + 2.0 * coarse[:, :2])
        more_features, more_flow = update(features, coarse, seen)
        return flow + more_flow, features + more_features

    def _combined(self, out: Tensor, flow: Tensor, first: Tensor, second: Tensor, mean: Tensor) -> Tensor:
        """The mean of FLOWS warped and blended candidates, plus a learned mixture of them."""
        to0, to1, mask, rest = torch.split(out, [2 * FLOWS, 2 * FLOWS, FLOWS, 3 * FLOWS], 1)
        doubled = 2.0 * resized(flow, 2)
        fields = [
            (near + base.repeat(1, FLOWS, 1, 1)).unflatten(1, (FLOWS, 2)).flatten(0, 1)
            for near, base in ((to0, doubled[:, :2]), (to1, doubled[:, 2:]))
        ]
        warped = [
            warp(image.repeat_interleave(FLOWS, 0), field)
            for image, field in zip((first, second), fields, strict=True)
        ]
        weight = torch.sigmoid(mask).flatten(0, 1)[:, None]
        mean = mean.repeat_interleave(FLOWS, 0)
        candidates = weight * warped[0] + (1 - weight) * warped[1] + mean + rest.unflatten(1, (FLOWS, 3)).flatten(0, 1)
        candidates = candidates.unflatten(0, (-1, FLOWS))
        return candidates.mean(1) + self.comb_block(candidates.flatten(1, 2))


def resized(x: Tensor, scale: float) -> Tensor:
    return x if scale == 1 else F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def coordinates(height: int, width: int, device: torch.device) -> Tensor:
    """(1, 2, h, w) x and y of every cell."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack([x, y])[None].float()


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """`images` looked up where `flow` (b, 2, h, w) points, the border repeated."""
    height, width = flow.shape[-2:]
    x = torch.linspace(-1.0, 1.0, width, device=flow.device).view(1, 1, width) + flow[:, 0] / ((width - 1.0) / 2.0)
    y = torch.linspace(-1.0, 1.0, height, device=flow.device).view(1, height, 1) + flow[:, 1] / ((height - 1.0) / 2.0)
    return F.grid_sample(images, torch.stack([x, y], dim=-1), padding_mode="border", align_corners=True)


def load_amt(state: Mapping[str, Tensor]) -> Amt:
    """AMT-S from the published checkpoint (its weights under "state_dict") or from the weights alone."""
    network = Amt()
    network.load_state_dict(state.get("state_dict", state))
    return network.eval().requires_grad_(False)
