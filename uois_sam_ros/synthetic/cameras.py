"""Where a tripod or a robot's hand would hold the camera, and what lens it has."""

from __future__ import annotations

import numpy as np

from .model import Camera, Placed, Scene

TRIES = 40
#: Elevation range in degrees by layout; holders overrule it.
ELEVATION = {
    "tower": (8.0, 60.0),
    "stack": (12.0, 70.0),
    "row": (12.0, 75.0),
    "flat": (30.0, 90.0),
    "tools": (30.0, 90.0),
    "container": (25.0, 85.0),
}
CLOSEST_M = 0.25  # nothing real focuses, or measures depth, nearer than this


def sample_cameras(
    rng: np.random.Generator, scene: Scene, count: int, *, width: int, height: int
) -> tuple[Camera, ...]:
    """Sample ``count`` cameras that look at the objects past the furniture.

    Args:
        rng: source of every choice.
        scene: at least one object.
        width, height: image size in pixels; focal lengths scale with it.

    Returns:
        Cameras outside every solid, at least 0.25 m from every object, with a free line to most
        objects' centres. Where 40 tries fail, a view from straight above (or straight before a shelf).
    """
    if width < 1 or height < 1:
        raise ValueError(f"camera size: expected width and height of at least 1 pixel, got {width} x {height}")
    view = _Subject(scene)
    return tuple(_sample(rng, view, width, height) for _ in range(count))


class _Subject:
    """The objects' centres and size, and the background that may stand in the way."""

    def __init__(self, scene: Scene) -> None:
        clouds = [_world_points(item) for item in scene.objects]
        self.points = np.concatenate([cloud[:: max(1, len(cloud) // 60)] for cloud in clouds])
        boxes = np.array([(cloud.min(0), cloud.max(0)) for cloud in clouds])
        self.centres = boxes.mean(1)
        self.middle = np.median(self.centres, axis=0)
        spread = np.linalg.norm(boxes - self.middle, axis=2).max(1)
        self.radius = float(np.clip(np.quantile(spread, 0.85), 0.06, 0.7))
        families = {item.model.family for item in scene.background}
        self.front = "shelf" in families
        self.elevation = ELEVATION.get(scene.layout, (12.0, 90.0))
        if "bin" in families:
            self.elevation = (50.0, 90.0)
        elif "tray" in families:
            self.elevation = (30.0, 90.0)
        triangles, owner, lower, upper = [], [], [], []
        for item in scene.background:
            for piece in item.model.pieces:
                world = piece.vertices @ item.pose[:3, :3].T + item.pose[:3, 3]
                triangles.append(world[piece.faces])
                owner.append(np.full(len(piece.faces), len(lower)))
                lower.append(world.min(0))
                upper.append(world.max(0))
        self.triangles = np.concatenate(triangles) if triangles else np.zeros((0, 3, 3))
        self.owner = np.concatenate(owner) if owner else np.zeros(0, int)
        self.lower, self.upper = np.array(lower).reshape(-1, 3), np.array(upper).reshape(-1, 3)

    def seen_from(self, eye: np.ndarray) -> float:
        """Return the fraction of objects' centres with no background between them and ``eye``."""
        chosen = self.centres[:: max(1, len(self.centres) // 12)]
        return float(np.mean([not self._blocked(eye, centre) for centre in chosen]))

    def _blocked(self, eye: np.ndarray, target: np.ndarray) -> bool:
        ray = target - eye
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (self.lower - eye) / ray, (self.upper - eye) / ray
        enter = np.nanmax(np.minimum(first, second), axis=1, initial=0.0)
        leave = np.nanmin(np.maximum(first, second), axis=1, initial=0.97)
        hit = np.flatnonzero(enter <= leave)
        if not len(hit):
            return False
        corner = self.triangles[np.isin(self.owner, hit)]
        edge1, edge2 = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
        across = np.cross(ray, edge2)
        scale = np.einsum("ij,ij->i", edge1, across)
        scale = np.where(np.abs(scale) < 1e-12, np.inf, scale)
        offset = eye - corner[:, 0]
        u = np.einsum("ij,ij->i", offset, across) / scale
        turned = np.cross(offset, edge1)
        v = turned @ ray / scale
        t = np.einsum("ij,ij->i", edge2, turned) / scale
        return bool(((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (t < 0.97)).any())


def _world_points(item: Placed) -> np.ndarray:
    points = np.concatenate([piece.vertices for piece in item.model.pieces])
    return points @ item.pose[:3, :3].T + item.pose[:3, 3]


def _sample(rng: np.random.Generator, subject: _Subject, width: int, height: int) -> Camera:
    best: tuple[float, Camera] | None = None
    for _ in range(TRIES):
        intrinsics, half_angle = _lens(rng, width, height)
        camera = Camera(width, height, intrinsics, _pose(rng, subject, half_angle))
        eye = camera.pose[:3, 3]
        if eye[2] < 0.03 and not subject.front:
            continue
        if np.linalg.norm(subject.points - eye, axis=1).min() < CLOSEST_M:
            continue
        seen = subject.seen_from(eye) * min(1.0, 2 * _in_view(camera, subject.centres))
        if seen >= 0.7:
            return camera
        if best is None or seen > best[0]:
            best = seen, camera
    if best is not None and best[0] > 0.3:
        return best[1]
    intrinsics, half_angle = _lens(rng, width, height)
    away = np.array([0.0, -1.0, 0.25]) if subject.front else np.array([0.0, -0.05, 1.0])
    distance = max(1.3 * subject.radius / np.tan(half_angle), subject.radius + CLOSEST_M)
    return Camera(width, height, intrinsics, look_at(subject.middle + distance * away, subject.middle))


def _lens(rng: np.random.Generator, width: int, height: int) -> tuple[tuple[float, float, float, float], float]:
    """Return fx, fy, cx, cy in pixels and half the smaller field of view in radians."""
    focal = width / 2 / np.tan(np.deg2rad(rng.uniform(45, 75)) / 2)
    fy = focal * rng.uniform(0.99, 1.01)
    shift = np.clip(rng.normal(0, 0.015, 2), -0.03, 0.03)
    centre = (width - 1) / 2 + shift[0] * width, (height - 1) / 2 + shift[1] * height
    return (float(focal), float(fy), float(centre[0]), float(centre[1])), float(
        np.arctan(min(width, height) / 2 / focal)
    )


def _pose(rng: np.random.Generator, subject: _Subject, half_angle: float) -> np.ndarray:
    if subject.front:
        azimuth = -np.pi / 2 + rng.normal(0, 0.35)
        elevation = np.deg2rad(rng.uniform(-3, 35))
    else:
        azimuth = rng.uniform(0, 2 * np.pi)
        low, high = subject.elevation
        elevation = np.deg2rad(rng.triangular(low, low + 0.35 * (high - low), high))
        if low >= 50 or rng.random() < 0.1:
            elevation = np.deg2rad(rng.uniform(max(low, 60), 90))
    away = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    fill = rng.uniform(0.45, 0.75) if rng.random() < 0.12 else rng.triangular(0.85, 1.0, 2.0)
    distance = fill * subject.radius / np.tan(half_angle)
    distance = float(np.clip(distance, 0.35, 1.6) * rng.uniform(0.95, 1.1))
    slack = 0.25 * subject.radius + 0.05 * max(fill - 1, 0)
    target = subject.middle + rng.normal(0, 0.4, 3) * slack * (1, 1, 0.5)
    roll = np.deg2rad(rng.uniform(-180, 180) if rng.random() < 0.05 else rng.normal(0, 5))
    return look_at(target + distance * away, target, roll)


def look_at(eye: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Return the optical camera-to-world pose float64[4, 4]; ``roll`` in radians about the axis."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < 1e-3:
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([cos * right + sin * down, cos * down - sin * right, forward], axis=1)
    pose[:3, 3] = eye
    return pose


def _in_view(camera: Camera, points: np.ndarray) -> float:
    """Fraction of the points that fall into the image."""
    local = (points - camera.pose[:3, 3]) @ camera.pose[:3, :3]
    fx, fy, cx, cy = camera.intrinsics
    depth = np.maximum(local[:, 2], 1e-6)
    u, v = fx * local[:, 0] / depth + cx, fy * local[:, 1] / depth + cy
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height) & (local[:, 2] > 0)
    return float(inside.mean())
