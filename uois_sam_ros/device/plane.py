"""The support plane on the device: the host's own draws, all hypotheses of all cameras tested at once.

The draws are those of ``geometry.find_support_plane`` unless its generator rejects one, which happens to one picture in
fifty; then the two try other, equally good triples from that draw on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ..geometry import PLANE_HYPOTHESES, PLANE_MIN_INLIERS, PLANE_REACH_PX, PLANE_SAMPLES, PLANE_TOLERANCE

#: Fewer readings, or fewer points to fit a plane to, make no plane.
MIN_READINGS, MIN_FIT = 200, 30
#: Squarings of the matrix whose greatest eigenvector is the normal: ample for any plane that is flatter than long.
SQUARINGS = 6


class SupportPlane(nn.Module):
    """Points and their validity -> the plane that carries the scene; ``geometry.find_support_plane``."""

    def __init__(self, hw: tuple[int, int], *, seed: int = 0) -> None:
        super().__init__()
        self._hw = hw
        rng = np.random.default_rng(seed)
        draws = rng.integers(0, 1 << 32, PLANE_SAMPLES + PLANE_HYPOTHESES, dtype=np.uint32).astype(np.int64)
        reach = rng.integers(-PLANE_REACH_PX, PLANE_REACH_PX + 1, (2, 2, PLANE_HYPOTHESES))
        self.register_buffer("draws", torch.from_numpy(draws), persistent=False)
        self.register_buffer("reach", torch.from_numpy(reach), persistent=False)

    def forward(self, points_m: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the plane of every camera.

        Args:
            points_m: float32[B, h, w, 3], finite. valid: bool[B, h, w].

        Returns:
            float32[B, 4], unit normal towards the camera and offset >= 0 in metres, 0 where there is none; and
            bool[B], whether there is one.
        """
        height, width = self._hw
        rows, cols, readings = self._draw(valid)
        flat, flat_valid = points_m.flatten(1, 2), valid.flatten(1)

        def take(row: torch.Tensor, col: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            place = row * width + col
            return flat.gather(1, place[..., None].expand(-1, -1, 3)), flat_valid.gather(1, place)

        sample, _ = take(rows[:, :PLANE_SAMPLES], cols[:, :PLANE_SAMPLES])
        weight = _centre_weight(rows[:, :PLANE_SAMPLES], cols[:, :PLANE_SAMPLES], height, width)
        tolerance = PLANE_TOLERANCE[0] + PLANE_TOLERANCE[1] * sample[..., 2] ** 2
        row, col = rows[:, PLANE_SAMPLES:], cols[:, PLANE_SAMPLES:]
        first, _ = take(row, col)
        (second, second_ok), (third, third_ok) = (
            take((row + step[0]).clamp(0, height - 1), (col + step[1]).clamp(0, width - 1)) for step in self.reach)
        planes, sound = _through(first, second, third)
        sound = sound & second_ok & third_ok

        distance = _distance(sample[:, :, None], planes[:, None])
        near, below = distance.abs() < tolerance[..., None], distance < -3 * tolerance[..., None]
        score = (weight[..., None] * (near.float() - 0.5 * below.float())).sum(dim=1)
        best = torch.where(sound, score, -torch.inf).argmax(dim=1)
        plane = planes.gather(1, best[:, None, None].expand(-1, 1, 4)).squeeze(1)
        found = (readings >= MIN_READINGS) & sound.any(dim=1)
        for _ in range(2):
            chosen = (_distance(sample, plane[:, None]).abs() < tolerance).float()
            found = found & (chosen.sum(dim=1) >= MIN_FIT)
            plane = _fit(sample, chosen)
        near = (_distance(sample, plane[:, None]).abs() < tolerance).float()
        found = found & ((weight * near).sum(dim=1) >= PLANE_MIN_INLIERS * weight.sum(dim=1))
        return torch.where(found[:, None], plane, 0.0), found

    def _draw(self, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return row and column int64[B, n] of every drawn reading, and the number of readings int64[B].

        A draw of 32 bits stands for the reading of that rank in raster order, as in numpy's bounded integers.
        """
        height, width = self._hw
        within = valid.long().cumsum(dim=2)  # readings of the row up to here
        until = within[..., -1].cumsum(dim=1)  # readings up to the end of the row
        readings = until[:, -1]
        rank = (self.draws * readings[:, None]) // (1 << 32)
        rows = (until[:, None] <= rank[..., None]).sum(dim=2).clamp(max=height - 1)
        before = until.gather(1, rows) - within[..., -1].gather(1, rows)
        line = within.gather(1, rows[..., None].expand(-1, -1, width))
        cols = (line <= (rank - before)[..., None]).sum(dim=2).clamp(max=width - 1)
        return rows, cols, readings


def plane_height(points_m: torch.Tensor, plane: torch.Tensor) -> torch.Tensor:
    """Return float32[B, h, w], metres above the planes float32[B, 4]; 0 where a plane is all zero."""
    return _distance(points_m, plane[:, None, None])


def _distance(points: torch.Tensor, plane: torch.Tensor) -> torch.Tensor:
    """Return signed distances; sums of products, because a matrix product may be rounded to ten bits on a GPU."""
    return (points[..., 0] * plane[..., 0] + points[..., 1] * plane[..., 1] + points[..., 2] * plane[..., 2]
            + plane[..., 3])


def _centre_weight(rows: torch.Tensor, cols: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Points near the image centre count more, as on the host."""
    y, x = (rows.float() / height - 0.55) / 0.45, (cols.float() / width - 0.5) / 0.45
    return torch.exp(-0.5 * (x * x + y * y))


def _through(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return planes float32[B, n, 4] through triples [B, n, 3], normals towards the camera, and which are sound."""
    normal = _cross(b - a, c - a)
    norm, spread = _norm(normal), _norm(b - a) * _norm(c - a)
    normal = normal / norm.clamp(min=1e-12)[..., None]
    return _facing(normal, -(normal * a).sum(dim=-1)), (norm > 0.2 * spread) & (spread > 1e-4)


def _fit(points: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return float32[B, 4], the least-squares planes of the chosen (float32[B, n], 0 or 1) points [B, n, 3].

    The normal is the eigenvector of the smallest eigenvalue of the scatter matrix, so that of the greatest of its
    adjugate; squared a few times, that matrix has nothing else left in its columns.
    """
    count = chosen.sum(dim=1)[:, None].clamp(min=1)
    centre = (points * chosen[..., None]).sum(dim=1) / count
    away = (points - centre[:, None]) * chosen[..., None]
    scatter = torch.stack([(away * away[..., k:k + 1]).sum(dim=1) for k in range(3)], dim=1)
    x, y, z = scatter.unbind(dim=1)
    power = torch.stack([_cross(y, z), _cross(z, x), _cross(x, y)], dim=1)
    for _ in range(SQUARINGS):
        power = power / power.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)
        power = (power[:, :, :, None] * power[:, None]).sum(dim=2)
    longest = _norm(power).argmax(dim=1)
    normal = power.gather(1, longest[:, None, None].expand(-1, 1, 3)).squeeze(1)
    normal = normal / _norm(normal).clamp(min=1e-30)[..., None]
    return _facing(normal, -(normal * centre).sum(dim=-1))


def _facing(normal: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Return planes turned so that the camera, the origin, lies on the positive side."""
    plane = torch.cat([normal, offset[..., None]], dim=-1)
    return torch.where(offset[..., None] < 0, -plane, plane)


def _cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    (x, y, z), (u, v, w) = a.unbind(dim=-1), b.unbind(dim=-1)
    return torch.stack([y * w - z * v, z * u - x * w, x * v - y * u], dim=-1)


def _norm(vectors: torch.Tensor) -> torch.Tensor:
    return (vectors * vectors).sum(dim=-1).sqrt()
