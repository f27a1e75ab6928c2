"""What a layout hands to physics, and the few poses and picks that all layouts share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .model import ObjectModel, Placed
from .shapes import make_object

HOLDERS = ("table", "bin", "tray", "shelf")


@dataclass
class Arrangement:
    """Objects at their starting poses, and what holds them.

    Attributes:
        objects: free of overlap; ``group`` already set for stacks and containers, whose first
            member (the lowest, the container) comes first.
        holder: one of ``HOLDERS``.
        fixed: bin walls, tray rims, shelf boards: collided with, drawn, never labelled.
        half_extent: (x, y) metres around the origin within which objects must stay.
        falling: objects start with a downward speed.
        duration: longest simulated time, seconds.
    """

    objects: list[Placed] = field(default_factory=list)
    holder: str = "table"
    fixed: tuple[Placed, ...] = ()
    half_extent: tuple[float, float] = (0.75, 0.75)
    falling: bool = True
    duration: float = 2.0


class Stock:
    """Draws models of the allowed families; what did not fit one wish is kept for the next."""

    def __init__(self, rng: np.random.Generator, families: Sequence[str]) -> None:
        self.rng = rng
        self.families = tuple(families)
        self._kept: list[ObjectModel] = []

    def draw(self, fits: Callable[[ObjectModel], bool] | None = None, tries: int = 40) -> ObjectModel | None:
        """Return a model that ``fits``, or None after ``tries`` fresh ones."""
        if fits is None:
            fits = _anything
        for index, model in enumerate(self._kept):
            if fits(model) and self.rng.random() < 0.5:
                return self._kept.pop(index)
        misses: dict[str, int] = {}
        for _ in range(tries):
            family = self.families[self.rng.integers(len(self.families))]
            if misses.get(family, 0) > 1:  # two of a kind did not fit: most likely none does
                continue
            model = make_object(family, self.rng)
            if fits(model):
                return model
            misses[family] = misses.get(family, 0) + 1
            if len(self._kept) < 60:
                self._kept.append(model)
        return next((model for model in self._kept if fits(model)), None)

    def draw_many(self, count: int, fits: Callable[[ObjectModel], bool] | None = None) -> list[ObjectModel]:
        """Return up to ``count`` models; two in ten repeat an earlier one."""
        models: list[ObjectModel] = []
        for _ in range(count):
            if models and self.rng.random() < 0.2:
                models.append(models[self.rng.integers(len(models))])
                continue
            model = self.draw(fits)
            if model is None:
                break
            models.append(model)
        return models


def _anything(_: ObjectModel) -> bool:
    return True


def size_of(model: ObjectModel) -> np.ndarray:
    """Return the full sizes float64[3] of the model's box, metres."""
    lower, upper = model.bounds
    return np.asarray(upper, np.float64) - np.asarray(lower, np.float64)


def about_z(angle: float) -> np.ndarray:
    """Return the rotation float64[3, 3] by ``angle`` radians around z."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a uniformly random rotation float64[3, 3]."""
    basis, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    basis *= np.sign(np.diag(upper))
    if np.linalg.det(basis) < 0:
        basis[:, 0] *= -1
    return basis


def axis_up(axis: int) -> np.ndarray:
    """Return a rotation that turns the object's axis 0, 1 or 2 towards world z."""
    order = {0: (1, 2, 0), 1: (2, 0, 1), 2: (0, 1, 2)}[axis]
    return np.eye(3)[list(order)]


def natural_rotation(rng: np.random.Generator, model: ObjectModel, lying: float = 0.3) -> np.ndarray:
    """Upright, or with probability ``lying`` on another side, at a random heading."""
    base = np.eye(3)
    chance = lying * 0.3 if model.cavity is not None else lying
    sizes, axis = size_of(model), int(rng.integers(2))
    balanced = sizes[axis] < 2.5 * np.delete(sizes, axis).min()  # no hammer on the end of its handle
    if balanced and rng.random() < chance:
        base = axis_up(axis)
        if rng.random() < 0.5:
            base = np.diag([1.0, -1.0, -1.0]) @ base
    return about_z(rng.uniform(0, 2 * np.pi)) @ base


def flat_rotation(rng: np.random.Generator, model: ObjectModel) -> np.ndarray:
    """The thinnest side up, at a random heading, either face."""
    base = axis_up(int(np.argmin(size_of(model))))
    if rng.random() < 0.5 and model.cavity is None:
        base = np.diag([1.0, -1.0, -1.0]) @ base
    return about_z(rng.uniform(0, 2 * np.pi)) @ base


def turned_box(model: ObjectModel, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners float64[3] of the turned model's axis-aligned box."""
    points = np.concatenate([piece.vertices for piece in model.pieces]) @ rotation.T
    return points.min(0), points.max(0)


def place(
    model: ObjectModel, rotation: np.ndarray, xy: Sequence[float], z: float, group: int = -1
) -> Placed:
    """Put the turned model's box centre over ``xy`` with its lowest point at height ``z``."""
    lower, upper = turned_box(model, rotation)
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:2, 3] = np.asarray(xy) - (lower[:2] + upper[:2]) / 2
    pose[2, 3] = z - lower[2]
    return Placed(model, pose, group)


def box_of(placed: Placed) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners float64[3] of the placed object's axis-aligned world box."""
    lower, upper = turned_box(placed.model, placed.pose[:3, :3])
    return lower + placed.pose[:3, 3], upper + placed.pose[:3, 3]


class Heap:
    """Finds free starting places: beside what is there already, or above it."""

    def __init__(self, placed: Sequence[Placed] = ()) -> None:
        self._boxes = [box_of(item) for item in placed]

    def add(self, placed: Placed) -> Placed:
        """Note a placed object and return it."""
        self._boxes.append(box_of(placed))
        return placed

    def above(self, model: ObjectModel, rotation: np.ndarray, xy: Sequence[float], base: float = 0.001) -> Placed:
        """Place over ``xy`` at the lowest height where the boxes do not overlap."""
        candidate = place(model, rotation, xy, base)
        lower, upper = box_of(candidate)
        height = upper[2] - lower[2]
        tops = [
            (low[2], high[2])
            for low, high in self._boxes
            if (lower[:2] < high[:2] + 1e-3).all() and (upper[:2] > low[:2] - 1e-3).all()
        ]
        z = base
        for bottom, top in sorted(tops):
            if bottom < z + height + 1e-3 and top > z - 1e-3:
                z = top + 2e-3
        candidate.pose[2, 3] += z - base
        return self.add(candidate)

    def beside(
        self, rng: np.random.Generator, model: ObjectModel, rotation: np.ndarray, reach: float, tries: int = 30
    ) -> Placed:
        """Place on the support within ``reach`` metres; when full, above something."""
        for attempt in range(tries):
            xy = rng.uniform(-1, 1, 2) * reach * (1 + 0.03 * attempt)
            lower, upper = box_of(place(model, rotation, xy, 0.001))
            if all(
                (lower[:2] > high[:2] + 1e-3).any() or (upper[:2] < low[:2] - 1e-3).any()
                for low, high in self._boxes
            ):
                break
        return self.above(model, rotation, xy)
