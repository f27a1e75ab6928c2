"""One settled scene: layout, physics, room and lamps together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import ConfigError
from .arrangement import Arrangement, Stock, box_of
from .layouts import LAYOUTS, draw_layout
from .model import Placed, Scene
from .physics import settle
from .room import Extent, build_lights, build_room

ATTEMPTS = 4


def build_scene(
    rng: np.random.Generator, *, families: Sequence[str], layout: str | None = None, max_objects: int = 40
) -> Scene:
    """Build a scene whose objects rest on their support; the same generator state, the same scene.

    Args:
        rng: source of every choice.
        families: names from ``shapes.FAMILIES`` to draw objects from.
        layout: a key of ``layouts.LAYOUTS``; ``None`` draws one by weight.
        max_objects: at least 1.

    Returns:
        1 to ``max_objects`` objects; surfaces without a texture are for the caller to fill.
        ``Scene.layout`` names what was built: where the families cannot make the wanted layout
        (no vessels for 'container'), it is a plain 'sparse' one.

    Raises:
        ConfigError: unknown layout, no families or ``max_objects`` < 1.
    """
    if layout is not None and layout not in LAYOUTS:
        raise ConfigError(f"layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}")
    if not families:
        raise ConfigError("families: expected at least one family name, got none; see shapes.FAMILIES")
    if max_objects < 1:
        raise ConfigError(f"max_objects: expected at least 1, got {max_objects}")
    name = layout or draw_layout(rng)
    stock = Stock(rng, families)
    best: tuple[int, Arrangement, list[Placed]] | None = None
    limit = max_objects
    for attempt in range(ATTEMPTS):
        if attempt == ATTEMPTS - 1 and best is None:
            name = "sparse"
        arrangement = LAYOUTS[name][0](stock, limit)
        objects = _at_rest(arrangement)
        grouped = sum(item.group >= 0 for item in objects)
        if objects and (best is None or grouped > best[0]):
            best = grouped, arrangement, objects
        if objects and 2 * grouped >= sum(item.group >= 0 for item in arrangement.objects):
            break
        limit = max(1, limit * 3 // 4) if not objects else limit
    while best is None:  # a single thing standing on a table always succeeds in the end
        name = "sparse"
        arrangement = LAYOUTS[name][0](stock, 1)
        objects = _at_rest(arrangement)
        best = (0, arrangement, objects) if objects else None
    _, arrangement, objects = best
    if name in ("stack", "tower", "container") and all(item.group < 0 for item in objects):
        name = "sparse" if len(objects) < 6 else "clutter"
    return _furnish(stock, name, arrangement, objects)


def _at_rest(arrangement: Arrangement) -> list[Placed]:
    """Settle and return what stayed, with the groups that survived."""
    x, y = arrangement.half_extent

    def inside(points: np.ndarray) -> bool:
        return bool((np.abs(points[:, 0]) < x).all() and (np.abs(points[:, 1]) < y).all())

    start = arrangement.objects
    settled = settle(
        start,
        arrangement.fixed,
        duration=arrangement.duration,
        inside=inside,
        falling=arrangement.falling,
    )
    objects = [
        Placed(start[index].model, pose, start[index].group) for index, pose in zip(settled.kept, settled.poses)
    ]
    return _kept_groups(objects)


def _kept_groups(objects: list[Placed]) -> list[Placed]:
    """Take out of its group whatever no longer stands on or in the group's first member."""
    anchors: dict[int, Placed] = {}
    out = []
    for item in objects:
        group = item.group
        if group >= 0:
            anchor = anchors.setdefault(group, item)
            if not _with_anchor(item, anchor):
                group = -1
        out.append(replace(item, group=group))
    sizes: dict[int, int] = {}
    for item in out:
        sizes[item.group] = sizes.get(item.group, 0) + 1
    return [replace(item, group=-1) if sizes[item.group] < 2 else item for item in out]


def _with_anchor(item: Placed, anchor: Placed) -> bool:
    if item is anchor:
        return True
    lower, upper = box_of(item)
    low, high = box_of(anchor)
    slip = np.abs((lower + upper) / 2 - (low + high) / 2)[:2]
    near = bool((slip < 0.5 * (high - low)[:2]).all())
    if anchor.model.cavity is not None and item.model is not anchor.model:
        return near and bool(lower[2] > low[2])
    return near and bool(lower[2] > low[2] + 0.3 * min(high[2] - low[2], 0.03))


def _furnish(stock: Stock, name: str, arrangement: Arrangement, objects: list[Placed]) -> Scene:
    boxes = [box_of(item) for item in [*objects, *arrangement.fixed]]
    lower = np.min([low for low, _ in boxes], axis=0)
    upper = np.max([high for _, high in boxes], axis=0)
    extent = Extent(lower, upper, arrangement.holder)
    room = build_room(stock, extent)
    lights, ambient = build_lights(stock.rng, extent)
    return Scene(tuple(objects), (*arrangement.fixed, *room), lights, ambient, name)
