"""Repeating surface patterns: sRGB pictures that tile without a seam.

Each pattern is ``pattern(rng, colours) -> float32[n, n, 3]`` in [0, 1] (sRGB), where ``colours`` is
float32[k, 3], k >= 2, most important first.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

SIZE = 192
_EXPONENTS = (0.6, 1.2, 1.8, 2.4)


@functools.lru_cache(maxsize=None)
def _noise_pool(stretch: float) -> np.ndarray:
    """Wrapping noise in [0, 1], one float32[SIZE, SIZE] per exponent; the same in every process."""
    rng = np.random.default_rng(20240917)
    fy, fx = np.fft.fftfreq(SIZE)[:, None] * SIZE, np.fft.rfftfreq(SIZE)[None] * SIZE
    radius = np.hypot(fy, fx * stretch)
    radius[0, 0] = 1.0
    tiles = []
    for exponent in _EXPONENTS:
        tile = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIZE, SIZE))) * radius ** -exponent, (SIZE, SIZE))
        low, high = np.percentile(tile, (1, 99))
        tiles.append(np.clip((tile - low) / (high - low), 0, 1))
    return np.array(tiles, np.float32)


def noise(rng: np.random.Generator, smoothness: int = 2, stretch: float = 1.0) -> np.ndarray:
    """Return wrapping noise float32[SIZE, SIZE] in [0, 1]; ``smoothness`` 0 (fine) to 3 (coarse)."""
    tile = np.roll(_noise_pool(stretch)[smoothness], tuple(rng.integers(0, SIZE, 2)), (0, 1))
    if rng.random() < 0.5:
        tile = tile[::-1]
    return tile[:, ::-1] if rng.random() < 0.5 else tile


def _grid() -> tuple[np.ndarray, np.ndarray]:
    steps = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    return np.meshgrid(steps, steps)


def _mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weight = weight[..., None].astype(np.float32)
    return first + (second - first) * weight


def solid(rng, colours):
    """One colour, at most faintly uneven."""
    strength = rng.choice([0.0, 0.04, 0.12])
    return np.clip(colours[0] * (1 + strength * (noise(rng, 2)[..., None] - 0.5)), 0, 1)


def stripes(rng, colours):
    """Parallel bands of two or more colours."""
    x, _ = _grid()
    count = int(rng.integers(1, 9))
    phase = (x * count) % 1.0
    edges = np.sort(rng.uniform(0.1, 0.9, len(colours) - 1))
    return colours[np.searchsorted(edges, phase.ravel()).reshape(phase.shape)]


def checkers(rng, colours):
    """A chess board."""
    x, y = _grid()
    count = 2 * int(rng.integers(1, 6))
    return colours[((x * count).astype(int) + (y * count).astype(int)) % 2]


def dots(rng, colours):
    """Round dots on a ground, every second row shifted or not."""
    x, y = _grid()
    count = 2 * int(rng.integers(1, 6))
    row = np.floor(y * count)
    u, v = (x * count + 0.5 * (row % 2) * rng.integers(0, 2)) % 1 - 0.5, (y * count) % 1 - 0.5
    return _mix(colours[0], colours[1], np.hypot(u, v) < rng.uniform(0.15, 0.42))


def clouds(rng, colours):
    """Soft patches between two colours."""
    value = noise(rng, int(rng.integers(1, 4)))
    if rng.random() < 0.3:
        value = (value > 0.5).astype(np.float32)
    return _mix(colours[0], colours[1], value)


def wood(rng, colours):
    """Grain lines along one direction."""
    x, _ = _grid()
    bend = noise(rng, 3, 6.0)
    rings = np.sin(2 * np.pi * (x * rng.integers(2, 7) + bend * rng.uniform(0.5, 3.0)))
    fibre = noise(rng, 1, 24.0)
    return np.clip(_mix(colours[0], colours[1], 0.5 + 0.3 * rings) * (0.75 + 0.4 * fibre[..., None]), 0, 1)


def planks(rng, colours):
    """Boards side by side with dark gaps."""
    x, y = _grid()
    count = int(rng.integers(3, 8))
    board = np.floor(x * count).astype(int)
    end = (y + rng.random(count)[board]) % 1.0
    shade = rng.uniform(0.7, 1.1, (count, 1)).astype(np.float32)[board]
    gap = (np.abs((x * count) % 1 - 0.5) > 0.5 - 0.012 * count) | (end < 0.012)
    return np.clip(wood(rng, colours) * shade * np.where(gap, 0.35, 1.0)[..., None], 0, 1)


def marble(rng, colours):
    """Veins."""
    vein = np.abs(np.sin(2 * np.pi * (noise(rng, 3) * rng.uniform(1, 3) + 0.3 * noise(rng, 1))))
    return _mix(colours[1], colours[0], vein ** rng.uniform(0.15, 0.5))


def granite(rng, colours):
    """Speckles of several colours."""
    image = _mix(colours[0], colours[1], noise(rng, 0) > rng.uniform(0.5, 0.8))
    if len(colours) > 2:
        image = _mix(image, colours[2], noise(rng, 0) > rng.uniform(0.6, 0.85))
    return image


def brushed(rng, colours):
    """Fine scratches along one direction."""
    strength = rng.uniform(0.05, 0.35)
    return np.clip(colours[0] * (1 + strength * (noise(rng, 0, 40.0) - 0.5))[..., None], 0, 1)


def weave(rng, colours):
    """Threads of a cloth."""
    x, y = _grid()
    count = 2 * int(rng.integers(10, 30))
    u, v = np.sin(2 * np.pi * x * count), np.sin(2 * np.pi * y * count)
    value = 0.5 + 0.25 * (u * np.sign(v) + v * np.sign(u))
    return _mix(colours[0], colours[1], np.clip(0.6 * value + 0.3 * noise(rng, 1), 0, 1))


def gingham(rng, colours):
    """Crossing translucent bands, as on table cloths."""
    x, y = _grid()
    count = int(rng.integers(2, 8))
    share = rng.uniform(0.3, 0.6)
    cover = 0.5 * (((x * count) % 1 < share).astype(np.float32) + ((y * count) % 1 < share))
    return _mix(colours[0], colours[1], cover)


def tiles(rng, colours):
    """Tiles with joints, each a little different."""
    x, y = _grid()
    columns, rows = int(rng.integers(2, 7)), 2 * int(rng.integers(1, 4))
    shift = rng.choice([0.0, 0.5])
    row = np.floor(y * rows).astype(int)
    u = (x * columns + shift * (row % 2)) % columns
    shade = rng.uniform(0.8, 1.1, (rows, columns)).astype(np.float32)[row, u.astype(int)]
    joint = (u % 1 < 0.03 * columns / 2) | ((y * rows) % 1 < 0.03 * rows / 2)
    return np.clip(_mix(colours[0] * shade[..., None], colours[1], joint), 0, 1)


def blossoms(rng, colours):
    """Scattered round shapes of several colours, as on wax cloth."""
    image = np.empty((SIZE, SIZE, 3), np.float32)
    image[:] = colours[0]
    for _ in range(int(rng.integers(8, 40))):
        x, y = rng.integers(0, SIZE, 2)
        axes = tuple(int(a) for a in rng.integers(3, 22, 2))
        colour = colours[int(rng.integers(1, len(colours)))].tolist()
        for dx in (-SIZE, 0, SIZE):
            for dy in (-SIZE, 0, SIZE):
                cv2.ellipse(image, (int(x) + dx, int(y) + dy), axes, float(x), 0, 360, colour, -1)
    return image


def newsprint(rng, colours):
    """Columns of grey text lines with a few pictures."""
    image = np.empty((SIZE, SIZE, 3), np.float32)
    image[:] = colours[0]
    line, columns = int(rng.integers(3, 7)), int(rng.integers(1, 4))
    ink, column = colours[1].tolist(), SIZE // columns
    for left in range(0, SIZE - column + 1, column):
        for top in range(2, SIZE - line, line):
            x = left + 4
            while x < left + column - 8:
                word = int(rng.integers(3, 14))
                cv2.rectangle(image, (x, top), (min(x + word, left + column - 5), top + line // 2), ink, -1)
                x += word + 3
        if rng.random() < 0.7:
            top = int(rng.integers(0, SIZE - 50))
            image[top:top + 48, left + 3:left + column - 3] = clouds(rng, colours[::-1])[
                top:top + 48, left + 3:left + column - 3]
    return image
