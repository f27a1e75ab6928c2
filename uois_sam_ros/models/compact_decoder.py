"""The compact promptable mask decoder.

SAM's interface (a point in, several mask hypotheses with predicted IoU out, tokens exposed) with a
cheap body: tokens attend to the shared context, and every mask token generates the weights of a
tiny network. Its hidden layer sees stride-4 features with the 2-D and 3-D offset from the prompt
and decides what belongs together; a linear term on stride-2 features draws the boundary, four
sub-pixels a cell. Images and prompts are batched.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from .layers import MLP, Attention

#: Working pixels and metres-like input units that an offset of 1 stands for.
OFFSET_PX = 48.0
OFFSET_XYZ = 0.2


class TokenLayer(nn.Module):
    """Self-attention among a prompt's tokens, attention to the image context, MLP (pre-norm)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.among, self.image = Attention(width, heads), Attention(width, heads)
        self.mlp = MLP(width, 2 * width, width, depth=2)

    def forward(self, tokens: torch.Tensor, position: torch.Tensor, keys: torch.Tensor,
                values: torch.Tensor) -> torch.Tensor:
        """tokens [B, P, T, C], position [B, P, 1, C] of the prompt, keys/values [B, n, C]."""
        batch, prompts, count, width = tokens.shape
        x = self.norm1(tokens).reshape(batch * prompts, count, width)
        tokens = tokens + self.among(x, x, x).reshape(tokens.shape)
        query = (self.norm2(tokens) + position).reshape(batch, prompts * count, width)
        tokens = tokens + self.image(query, keys, values).reshape(tokens.shape)
        return tokens + self.mlp(self.norm3(tokens))


class CompactDecoder(nn.Module):
    """Features and points -> mask hypotheses, predicted IoU, tokens.

    Args:
        pixel_channels, middle_channels, context_channels: of the encoder.
        hypotheses: masks a prompt (part, object, group, in whatever order training finds).
        width: token width C.
        hidden: units of the generated pixel network.
    """

    def __init__(self, pixel_channels: int = 35, middle_channels: int = 48,
                 context_channels: int = 128, hypotheses: int = 3, width: int = 128,
                 heads: int = 4, depth: int = 2, hidden: int = 16) -> None:
        super().__init__()
        self.hypotheses, self.width, self.hidden = hypotheses, width, hidden
        self.fine_channels, self.middle_channels = pixel_channels - 3, middle_channels
        self.tokens = nn.Parameter(torch.randn(hypotheses + 1, width) * 0.5)
        self.point = MLP(pixel_channels + middle_channels + context_channels, width, width, depth=2)
        self.context = nn.Linear(context_channels, width)
        self.register_buffer("frequencies", torch.randn(2, width // 2) * 2.0)
        self.layers = nn.ModuleList(TokenLayer(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        inputs = middle_channels + 5
        self.generated = (hidden * inputs, hidden, 4 * hidden, 4, 4 * self.fine_channels)
        self.generator = MLP(width, 2 * width, sum(self.generated), depth=2)
        with torch.no_grad():
            self.generator.layers[-1].weight.mul_(0.5)
        evidence = pixel_channels - 3 + middle_channels + 3
        self.evidence = MLP(evidence, width, width, depth=2)
        self.iou_head = MLP(2 * width, width, 1, depth=3)

    # -- tokens ---------------------------------------------------------------------------------

    def encode_points(self, pixel: torch.Tensor, middle: torch.Tensor, context: torch.Tensor,
                      points: torch.Tensor) -> torch.Tensor:
        """Return the output tokens [B, P, H + 2, C] (IoU token, mask tokens, point token).

        Args:
            pixel, middle, context: encoder features [B, *, *, *].
            points: float32[B, P, 2], (x, y) on the working grid.
        """
        unit = self.unit_points(points, pixel)
        sampled = torch.cat([sample_at(m, unit) for m in (pixel, middle, context)], dim=-1)
        point = self.point(sampled)
        position = self.encode_position(unit)
        tokens = torch.cat([self.tokens + point[:, :, None], point[:, :, None]], dim=2)
        values = self.context(context.flatten(2).transpose(1, 2))
        keys = values + self.encode_position(_grid_points(context))[None]
        for layer in self.layers:
            tokens = layer(tokens, position[:, :, None], keys, values)
        return self.norm(tokens)

    def unit_points(self, points: torch.Tensor, pixel: torch.Tensor) -> torch.Tensor:
        """Map working (x, y) to [0, 1] over the padded image area."""
        rows, cols = pixel.shape[-2:]
        x, y = points.unbind(-1)
        return torch.stack([(x + 0.5) / (2 * cols), (y + 0.5) / (2 * rows)], dim=-1)

    def encode_position(self, unit: torch.Tensor) -> torch.Tensor:
        """Random Fourier features of unit coordinates [..., 2] -> [..., C]."""
        angle = (2 * math.pi) * ((2 * unit - 1) @ self.frequencies)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)

    # -- masks ----------------------------------------------------------------------------------

    def generate(self, mask_tokens: torch.Tensor, origin: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Turn mask tokens [B, P, H, C] into the weights of their pixel networks.

        The offset from the prompt is linear, so it moves into the first bias: all prompts share
        one coarse tensor.

        Args:
            origin: the prompt's own coordinates [B, P, 5], in coarse-tensor units.

        Returns:
            w1 [B, P, H, hidden, Cm + 5], b1 [B, P, H, hidden], w2 [B, P, H, 4, hidden],
            b2 [B, P, H, 4], fine [B, P, H, 4, Cp].
        """
        w1, b1, w2, b2, fine = self.generator(mask_tokens).split(self.generated, dim=-1)
        w1 = w1.unflatten(-1, (self.hidden, self.middle_channels + 5))
        b1 = b1 - (w1[..., -5:] @ origin[:, :, None, :, None]).squeeze(-1)
        return w1, b1, w2.unflatten(-1, (4, self.hidden)), b2, fine.unflatten(-1, (4, self.fine_channels))

    def coarse_tensor(self, pixel: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
        """Append x, y, z and image x, y in offset units to ``middle``: [B, Cm + 5, h/4, w/4]."""
        batch, _, rows, cols = middle.shape
        y = (torch.arange(rows, device=middle.device, dtype=middle.dtype) * 4 + 1.5) / OFFSET_PX
        x = (torch.arange(cols, device=middle.device, dtype=middle.dtype) * 4 + 1.5) / OFFSET_PX
        xyz = F.avg_pool2d(pixel[:, -3:], 2) / OFFSET_XYZ
        return torch.cat([middle, xyz, x.expand(batch, 1, rows, cols),
                          y[:, None].expand(batch, 1, rows, cols)], dim=1)

    def origins(self, pixel: torch.Tensor, points: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
        """The prompt's x, y, z (sampled) and x, y (exact) in coarse-tensor units: [B, P, 5]."""
        xyz = sample_at(pixel[:, -3:], unit) / OFFSET_XYZ
        return torch.cat([xyz, points / OFFSET_PX], dim=-1)

    def coarse_logits(self, coarse: torch.Tensor, weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Apply the generated networks at h/4 x w/4; 4 outputs a cell, one a stride-2 cell.

        Returns:
            float32[B, P * H, 4, h/4 * w/4].
        """
        w1, b1, w2, b2, _ = weights
        batch = coarse.shape[0]
        cells = coarse.flatten(2)
        hidden = F.relu(w1.reshape(batch, -1, cells.shape[1]) @ cells + b1.reshape(batch, -1, 1))
        hidden = hidden.reshape(batch, -1, self.hidden, cells.shape[2])
        return w2.reshape(batch, -1, 4, self.hidden) @ hidden + b2.reshape(batch, -1, 4, 1)

    def full_logits(self, coarse_logits: torch.Tensor, pixel: torch.Tensor,
                    weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Add the fine term, linear in the stride-2 features: logits [B, P * H, h, w]."""
        batch, count = coarse_logits.shape[:2]
        rows, cols = pixel.shape[-2:]
        coarse = F.pixel_shuffle(coarse_logits.reshape(-1, 4, rows // 2, cols // 2), 2)
        fine = weights[4].reshape(batch, -1, self.fine_channels) @ pixel[:, :-3].flatten(2)
        fine = fine.reshape(-1, 4, rows, cols) + coarse
        return F.pixel_shuffle(fine, 2).reshape(batch, count, 2 * rows, 2 * cols)

    def mean_probabilities(self, coarse_logits: torch.Tensor, pixel: torch.Tensor,
                           weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Mask probability of every coarse cell, [B, P * H, h/4 * w/4], without the full masks.

        The mean logit of a cell's 16 pixels is exact, because the fine term is linear.
        """
        batch = pixel.shape[0]
        fine = weights[4].mean(dim=-2).reshape(batch, -1, self.fine_channels)
        pooled = F.avg_pool2d(pixel[:, :-3], 2).flatten(2)
        return torch.sigmoid(coarse_logits.mean(dim=2) + fine @ pooled)

    def logits_at(self, cells: torch.Tensor, weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Evaluate at chosen coarse cells only, for training.

        Args:
            cells: [B, P, N, Cm + 5 + 4 * Cp], the coarse tensor and the pixel-unshuffled fine
                features gathered at N cells a prompt.

        Returns:
            logits [B, P, H, N, 4, 4]: stride-2 cell, then its sub-pixel.
        """
        w1, b1, w2, b2, fine = weights
        coarse, pixels = cells.split([self.middle_channels + 5, 4 * self.fine_channels], dim=-1)
        hidden = F.relu(coarse[:, :, None] @ w1.transpose(-1, -2) + b1[:, :, :, None])
        outer = hidden @ w2.transpose(-1, -2) + b2[:, :, :, None]
        pixels = pixels.unflatten(-1, (self.fine_channels, 4)).transpose(-1, -2)
        inner = pixels[:, :, None] @ fine[:, :, :, None].transpose(-1, -2)
        return inner + outer[..., None]

    # -- scores ---------------------------------------------------------------------------------

    def pool(self, masks: torch.Tensor, pixel: torch.Tensor, middle: torch.Tensor,
             foreground: torch.Tensor) -> torch.Tensor:
        """Pool what lies under each mask, so that a token can know the mask it stands for.

        Args:
            masks: probabilities at h/4 x w/4, [B, N, h/4 * w/4].

        Returns:
            float32[B, N, E]: mean features and foreground, crispness, log area in cells.
        """
        fine = F.avg_pool2d(torch.cat([pixel[:, :-3], foreground], dim=1), 2)
        stack = torch.cat([fine, middle], dim=1).flatten(2)
        inside = masks @ stack.transpose(1, 2)
        area = masks.sum(-1, keepdim=True)
        mean = inside / (area + 1e-3)
        crisp = (masks * masks).sum(-1, keepdim=True) / (area + 1e-3)
        return torch.cat([mean, crisp, torch.log1p(area) * 0.2], dim=-1)

    def score(self, tokens: torch.Tensor, pooled: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Predict the IoU of every hypothesis.

        Args:
            tokens: [B, P, H + 2, C]; pooled: [B, P, H, E] from ``pool``.

        Returns:
            iou [B, P, H] in [0, 1], mask tokens with evidence [B, P, H, C], IoU token [B, P, C].
        """
        iou_token = tokens[:, :, 0]
        mask_tokens = tokens[:, :, 1:1 + self.hypotheses] + self.evidence(pooled)
        repeated = iou_token[:, :, None].expand_as(mask_tokens)
        iou = torch.sigmoid(self.iou_head(torch.cat([repeated, mask_tokens], dim=-1))).squeeze(-1)
        return iou, mask_tokens, iou_token

    def forward(self, pixel: torch.Tensor, middle: torch.Tensor, context: torch.Tensor,
                foreground: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Decode M prompts on one image; shapes as in ``models/spec.py`` (COMPACT_DECODER)."""
        return tuple(values.flatten(0, 1) for values in self.batched(pixel, middle, context, foreground, points[None]))

    def batched(self, pixel: torch.Tensor, middle: torch.Tensor, context: torch.Tensor,
                foreground: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Decode P prompts on each of B images.

        Args:
            points: float32[B, P, 2], (x, y) on the working grid.

        Returns:
            What ``forward`` does, with [B, P] in the place of M.
        """
        tokens = self.encode_points(pixel, middle, context, points)
        origin = self.origins(pixel, points, self.unit_points(points, pixel))
        weights = self.generate(tokens[:, :, 1:1 + self.hypotheses], origin)
        coarse = self.coarse_logits(self.coarse_tensor(pixel, middle), weights)
        low_res = self.full_logits(coarse, pixel, weights)
        pooled = self.pool(self.mean_probabilities(coarse, pixel, weights), pixel, middle, foreground)
        by_prompt = (pixel.shape[0], -1, self.hypotheses)
        iou, mask_tokens, iou_token = self.score(tokens, pooled.reshape(*by_prompt, pooled.shape[-1]))
        return low_res.reshape(*by_prompt, *low_res.shape[-2:]), iou, mask_tokens, iou_token


def sample_at(features: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Bilinear samples of [B, C, h, w] at unit points [B, P, 2] -> [B, P, C]."""
    grid = (2 * unit - 1)[:, :, None]
    sampled = F.grid_sample(features, grid, mode="bilinear", padding_mode="border",
                            align_corners=False)
    return sampled.squeeze(-1).transpose(1, 2)


def _grid_points(context: torch.Tensor) -> torch.Tensor:
    """Unit (x, y) of every context cell, row by row: [h * w, 2]."""
    rows, cols = context.shape[-2:]
    y = (torch.arange(rows, device=context.device, dtype=context.dtype) + 0.5) / rows
    x = (torch.arange(cols, device=context.device, dtype=context.dtype) + 0.5) / cols
    return torch.stack([x[None].expand(rows, cols), y[:, None].expand(rows, cols)], -1).reshape(-1, 2)
