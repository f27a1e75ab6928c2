"""The layouts by name: what lies where before physics, and how often each is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .arrangement import (
    Arrangement,
    Heap,
    Stock,
    about_z,
    axis_up,
    box_of,
    flat_rotation,
    natural_rotation,
    place,
    random_rotation,
    size_of,
)
from .holders import bin_walls, shelf_boards, tray_rim
from .model import ObjectModel
from .stacks import container, row, stack, tower

Layout = Callable[[Stock, int], Arrangement]


def _count(stock: Stock, low: int, high: int, max_objects: int) -> int:
    high = max(1, min(high, max_objects))
    low = min(low, high)
    return int(round(low + (high - low) * stock.rng.beta(1.0, 1.4)))


def _reach(models: Sequence[ObjectModel], looseness: float) -> float:
    """Half side of a square with ``looseness`` times the area of the things lying down."""
    area = sum(float(np.prod(np.sort(size_of(model))[1:])) for model in models)
    return float(np.clip(np.sqrt(looseness * area) / 2, 0.02, 0.45))


def _not_huge(model: ObjectModel) -> bool:
    return bool(size_of(model).max() < 0.32)


def _handy(model: ObjectModel) -> bool:
    return bool(size_of(model).max() < 0.2)


def sparse(stock: Stock, max_objects: int) -> Arrangement:
    """One to five things that stand or lie as they would, apart or nearly touching."""
    models = stock.draw_many(_count(stock, 1, 5, max_objects), _not_huge)
    heap, reach = Heap(), _reach(models, stock.rng.uniform(2, 12))
    items = [heap.beside(stock.rng, m, natural_rotation(stock.rng, m), reach) for m in models]
    return Arrangement(items, falling=False, duration=1.2)


def clutter(stock: Stock, max_objects: int) -> Arrangement:
    """Six to fifteen things, standing ones mixed with dropped ones."""
    rng = stock.rng
    models = stock.draw_many(_count(stock, 6, 15, max_objects), _not_huge)
    heap, reach, standing = Heap(), _reach(models, rng.uniform(1.2, 4)), rng.uniform(0.3, 1)
    items = []
    for model in models:
        if rng.random() < standing:
            items.append(heap.beside(rng, model, natural_rotation(rng, model), reach))
        else:
            items.append(heap.above(model, random_rotation(rng), rng.uniform(-1, 1, 2) * reach))
    return Arrangement(items)


def pile(stock: Stock, max_objects: int) -> Arrangement:
    """Ten to forty things dropped in a heap."""
    rng = stock.rng
    models = stock.draw_many(_count(stock, 10, 40, max_objects), _handy if rng.random() < 0.8 else _not_huge)
    heap, reach = Heap(), _reach(models, rng.uniform(0.35, 1.0))
    spots = np.clip(rng.normal(0, 0.55, (len(models), 2)), -1.2, 1.2) * reach
    return Arrangement([heap.above(m, random_rotation(rng), xy) for m, xy in zip(models, spots)])


def bin_(stock: Stock, max_objects: int) -> Arrangement:
    """Six to thirty things in a bin or tote; mixed, or many of a few kinds."""
    rng = stock.rng
    count = _count(stock, 6, 30, max_objects)
    if rng.random() < 0.3:
        kinds = stock.draw_many(int(rng.integers(1, 4)), _handy)
        models = [kinds[rng.integers(len(kinds))] for _ in range(count)] if kinds else []
    else:
        models = stock.draw_many(count, _handy if rng.random() < 0.7 else _not_huge)
    return _fill(stock, models, "bin", rng.uniform(0.35, 1.1))


def tray(stock: Stock, max_objects: int) -> Arrangement:
    """Three to fifteen things in a low tray or box lid, most lying flat."""
    models = stock.draw_many(_count(stock, 3, 15, max_objects), _handy)
    return _fill(stock, models, "tray", stock.rng.uniform(1.2, 3.0))


def _fill(stock: Stock, models: Sequence[ObjectModel], holder: str, looseness: float) -> Arrangement:
    rng = stock.rng
    longest = max((size_of(model).max() for model in models), default=0.1)
    reach = max(_reach(models, looseness), 0.55 * longest, 0.06)
    stretch = np.exp(rng.uniform(-0.25, 0.25))
    half = (min(reach * stretch, 0.4), min(reach / stretch, 0.4))
    walls, height = (bin_walls if holder == "bin" else tray_rim)(rng, half)
    heap, items = Heap(), []
    for model in models:
        natural = rng.random() < (0.15 if holder == "bin" else 0.7)
        turn = natural_rotation(rng, model) if natural else random_rotation(rng)
        lower, upper = box_of(place(model, turn, (0, 0), 0))
        play = np.maximum(np.array(half) - (upper - lower)[:2] / 2 - 0.004, 0)
        base = 0.001 if (play > 0).all() else height + 0.002
        items.append(heap.above(model, turn, rng.uniform(-1, 1, 2) * play, base))
    limit = (half[0] + 0.04, half[1] + 0.04)
    return Arrangement(items, holder, walls, limit, duration=2.2)


def identical(stock: Stock, max_objects: int) -> Arrangement:
    """Ten to forty copies of one small part: heaped, spread, in a bin, or packed in a grid."""
    rng = stock.rng
    part = stock.draw(lambda model: size_of(model).max() < 0.1, tries=80) or stock.draw(_handy)
    if part is None:
        return Arrangement()
    models = [part] * _count(stock, 10, 40, max_objects)
    draw = rng.random()
    if draw < 0.3:
        return _fill(stock, models, "bin" if rng.random() < 0.6 else "tray", rng.uniform(0.5, 1.5))
    if draw < 0.5:
        return _grid(stock, part, len(models))
    heap, reach = Heap(), _reach(models, rng.uniform(0.4, 3.0))
    return Arrangement(
        [heap.above(m, natural_rotation(rng, m, 0.7), rng.uniform(-1, 1, 2) * reach) for m in models]
    )


def _grid(stock: Stock, part: ObjectModel, count: int) -> Arrangement:
    """Copies side by side in a touching grid, as goods are packed."""
    rng = stock.rng
    width, depth, height = size_of(part)
    turn = np.eye(3) if height < 2.5 * min(width, depth) else axis_up(int(rng.integers(2)))
    lower, upper = box_of(place(part, turn, (0, 0), 0))
    pitch = (upper - lower)[:2] + rng.choice([0.0006, 0.004])
    columns = int(np.clip(round(np.sqrt(count * pitch[1] / pitch[0])), 1, count))
    heading = about_z(rng.uniform(0, 2 * np.pi))
    arrangement = Arrangement(falling=False, duration=1.0)
    for index in range(count):
        if rng.random() < 0.06:
            continue
        spot = (np.array([index % columns, index // columns]) - (columns - 1) / 2) * pitch
        item = place(part, turn, spot + rng.normal(0, 1e-4, 2), 0.0006)
        item.pose[:3] = heading @ item.pose[:3]
        arrangement.objects.append(item)
    return arrangement


def flat(stock: Stock, max_objects: int) -> Arrangement:
    """Three to eighteen things thinner than 1 cm, lying flat, partly on one another."""
    rng = stock.rng
    models = stock.draw_many(_count(stock, 3, 18, max_objects), lambda m: size_of(m).min() < 0.01 and _not_huge(m))
    heap, reach = Heap(), _reach(models, rng.uniform(0.8, 5))
    items = []
    for model in models:
        turn = flat_rotation(rng, model)
        if rng.random() < 0.75:
            items.append(heap.beside(rng, model, turn, reach))
        else:
            items.append(heap.above(model, turn, rng.uniform(-1, 1, 2) * reach))
    return Arrangement(items, falling=False, duration=1.2)


def tools(stock: Stock, max_objects: int) -> Arrangement:
    """Two to twelve long things (hand tools, pens, cutlery, cables), on the table or in a tray."""
    rng = stock.rng

    def long(model: ObjectModel) -> bool:
        sizes = np.sort(size_of(model))
        return 0.08 < sizes[2] < 0.36 and sizes[2] > 2.5 * sizes[1]

    models = stock.draw_many(_count(stock, 2, 12, max_objects), long)
    if rng.random() < 0.25:
        return _fill(stock, models, "tray", rng.uniform(1.5, 4))
    heap, reach = Heap(), _reach(models, rng.uniform(2, 7))
    heading = rng.uniform(0, 2 * np.pi) if rng.random() < 0.4 else None
    items = []
    for model in models:
        turn = flat_rotation(rng, model)
        if heading is not None:  # laid out roughly parallel
            longest = turn[:2, int(np.argmax(size_of(model)))]
            turn = about_z(heading - np.arctan2(longest[1], longest[0]) + rng.normal(0, 0.15)) @ turn
        items.append(heap.beside(rng, model, turn, reach))
    return Arrangement(items, falling=False, duration=1.2)


def shelf(stock: Stock, max_objects: int) -> Arrangement:
    """Three to fourteen things standing in a shelf compartment that is open towards -y."""
    rng = stock.rng
    half = (rng.uniform(0.15, 0.38), rng.uniform(0.1, 0.18))
    boards, height = shelf_boards(rng, half)
    models = stock.draw_many(
        _count(stock, 3, 14, max_objects),
        lambda m: size_of(m)[2] < height - 0.02 and size_of(m)[:2].max() < 1.6 * half[1],
    )
    heap, items = Heap(), []
    for model in models:
        lying = 0.0 if size_of(model)[:2].max() < height - 0.02 else 1.0
        turn = natural_rotation(rng, model, 0.1 * (1 - lying))
        if rng.random() < 0.6:  # square to the boards
            turn = about_z(np.pi / 2 * rng.integers(4) + rng.normal(0, 0.05))
        lower, upper = box_of(place(model, turn, (0, 0), 0))
        play = np.maximum(np.array(half) - (upper - lower)[:2] / 2 - 0.003, 0)
        for _ in range(25):
            item = Heap(items).above(model, turn, rng.uniform(-1, 1, 2) * play)
            if box_of(item)[0][2] < 0.01:
                items.append(heap.add(item))
                break
    return Arrangement(items, "shelf", boards, (half[0] + 0.02, half[1] + 0.06), False, 1.0)


#: Layout and its weight in the mix.
LAYOUTS: dict[str, tuple[Layout, float]] = {
    "sparse": (sparse, 0.08),
    "clutter": (clutter, 0.17),
    "pile": (pile, 0.11),
    "bin": (bin_, 0.11),
    "tray": (tray, 0.06),
    "stack": (stack, 0.09),
    "tower": (tower, 0.08),
    "row": (row, 0.06),
    "container": (container, 0.08),
    "identical": (identical, 0.05),
    "flat": (flat, 0.05),
    "tools": (tools, 0.03),
    "shelf": (shelf, 0.03),
}


def draw_layout(rng: np.random.Generator) -> str:
    """Return a layout's name by weight."""
    weights = np.array([weight for _, weight in LAYOUTS.values()])
    return str(rng.choice(list(LAYOUTS), p=weights / weights.sum()))
