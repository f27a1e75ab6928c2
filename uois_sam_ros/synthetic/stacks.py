"""Layouts that are placed by construction: stacks, coaxial towers, rows, filled containers."""

from __future__ import annotations

import numpy as np

from .arrangement import (
    Arrangement,
    Heap,
    Stock,
    about_z,
    axis_up,
    box_of,
    natural_rotation,
    place,
    size_of,
)
from .model import ObjectModel, Placed

GAP = 0.0008  # metres between things that are about to touch
UPSIDE_DOWN = np.diag([1.0, -1.0, -1.0])


def stack(stock: Stock, max_objects: int) -> Arrangement:
    """One to four stacks of like things (or mixed ones, wide below), some strays around."""
    rng = stock.rng
    arrangement = Arrangement(falling=False, duration=1.5)
    left = max_objects
    heap = Heap()
    for group in range(int(rng.integers(1, 5))):
        count = min(int(rng.integers(2, 8)), left)
        if count < 2:
            break
        models = _like(stock, count) if rng.random() < 0.65 else _mixed(stock, count)
        if len(models) < 2:
            continue
        anchor = heap.beside(rng, models[0], np.eye(3), 0.12 + 0.05 * group)
        centre = np.mean([corner[:2] for corner in box_of(anchor)], axis=0)
        square = rng.random() < 0.5
        level, heading = GAP, rng.uniform(0, 2 * np.pi)
        for model in models:
            turn = about_z(heading + (rng.normal(0, 0.05) if square else rng.normal(0, 0.5)))
            slip = rng.normal(0, 0.04 if not square else 0.015, 2) * size_of(model)[:2].min()
            item = place(model, turn, centre + slip, level, group)
            level = box_of(item)[1][2] + GAP
            arrangement.objects.append(heap.add(item))
        left -= len(models)
    _strays(stock, heap, arrangement, min(left, int(rng.integers(0, 5))), 0.17)
    return arrangement


def _stackable(model: ObjectModel) -> bool:
    return model.stackable and size_of(model)[2] < 0.16


def _like(stock: Stock, count: int) -> list[ObjectModel]:
    """Copies of one thing, or things of one family with the widest below."""
    first = stock.draw(_stackable)
    if first is None:
        return []
    count = min(count, max(2, int(0.35 / size_of(first)[2])))
    if stock.rng.random() < 0.6:
        return [first] * count
    kin = Stock(stock.rng, (first.family,))
    models = [first, *kin.draw_many(count - 1, _stackable)]
    return sorted(models, key=_footprint, reverse=True)


def _mixed(stock: Stock, count: int) -> list[ObjectModel]:
    models = [model for model in stock.draw_many(min(count, 5), _stackable)]
    models.sort(key=_footprint, reverse=True)
    return _closed_below(models)


def _footprint(model: ObjectModel) -> float:
    return float(np.prod(size_of(model)[:2]))


def _closed_below(models: list[ObjectModel]) -> list[ObjectModel]:
    """Keep at most one open vessel and put it on top, so that nothing drops into another."""
    closed = [model for model in models if model.cavity is None]
    vessels = [model for model in models if model.cavity is not None]
    return closed + vessels[:1]


def tower(stock: Stock, max_objects: int) -> Arrangement:
    """One to three coaxial towers: narrow things exactly on one another, some strays around."""
    rng = stock.rng
    arrangement = Arrangement(falling=False, duration=1.2)
    heap = Heap()
    left = max_objects
    for group in range(int(rng.integers(1, 4))):
        count = min(int(rng.choice([2, 3, 3, 4, 5], p=[0.1, 0.3, 0.3, 0.2, 0.1])), left)
        if group == 0:
            count = max(count, min(3, left))
        if count < 2:
            break
        models = _tower_parts(stock, count)
        if len(models) < 2:
            continue
        centre = rng.uniform(-1, 1, 2) * (0.03 + 0.11 * group)
        anchor = heap.above(models[0], np.eye(3), centre)
        if box_of(anchor)[0][2] > 0.01:  # no free floor there
            continue
        level, heading = GAP, rng.uniform(0, 2 * np.pi)
        for index, model in enumerate(models):
            turn = about_z(heading if rng.random() < 0.6 else rng.uniform(0, 2 * np.pi))
            if model.cavity is not None and (index + 1 < len(models) or rng.random() < 0.4):
                turn = turn @ UPSIDE_DOWN
            item = place(model, turn, centre + rng.normal(0, 0.0012, 2), level, group)
            level = box_of(item)[1][2] + GAP
            arrangement.objects.append(heap.add(item))
        left -= len(models)
    _strays(stock, heap, arrangement, min(left, int(rng.integers(0, 7))), 0.13)
    return arrangement


def _slim(model: ObjectModel) -> bool:
    width, depth, height = size_of(model)
    round_or_square = max(width, depth) < min(0.14, 1.7 * min(width, depth))
    return round_or_square and min(width, depth) > 0.02 and 0.02 < height < 0.2


def _tower_part(model: ObjectModel) -> bool:
    return model.stackable and _slim(model)


def _tower_parts(stock: Stock, count: int) -> list[ObjectModel]:
    """Mostly the wider below; at times a tower of one thing; no taller than 0.45 m."""
    if stock.rng.random() < 0.3:
        first = stock.draw(_tower_part, tries=80)
        models = [] if first is None else [first] * count
    else:
        models = [m for m in (stock.draw(_tower_part, tries=80) for _ in range(count)) if m is not None]
        models.sort(key=_footprint, reverse=True)
        for low in range(len(models) - 1):  # a little narrower below now and then
            if _footprint(models[low + 1]) > 0.7 * _footprint(models[low]) and stock.rng.random() < 0.5:
                models[low], models[low + 1] = models[low + 1], models[low]
    if len(models) > 2 and stock.rng.random() < 0.5:  # a cup, a bottle, an apple: anything on top
        models[-1] = stock.draw(_slim) or models[-1]
    kept: list[ObjectModel] = []
    for model in models:
        if sum(size_of(m)[2] for m in kept) + size_of(model)[2] < 0.45:
            kept.append(model)
    return kept


def row(stock: Stock, max_objects: int) -> Arrangement:
    """Boxes, cans or books side by side, touching, in one to three rows."""
    rng = stock.rng
    arrangement = Arrangement(falling=False, duration=1.2)
    heap = Heap()
    left = max_objects
    front = 0.0
    for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
        count = min(int(rng.integers(3, 10)), left)
        first = stock.draw(_stands)
        if first is None or count < 1:
            break
        same = rng.random()
        kin = Stock(rng, (first.family,)) if same < 0.5 else stock
        models = [first] * count if same < 0.25 else [first, *kin.draw_many(count - 1, _stands)]
        edge, depth = 0.0, 0.0
        upright = bool(rng.random() < 0.7)
        items: list[Placed] = []
        for model in models:
            turn = about_z(rng.choice([0, np.pi]) + rng.normal(0, 0.02)) @ _standing(model, upright)
            lower, upper = box_of(place(model, turn, (0, 0), 0))
            width = upper[0] - lower[0]
            y = front + (upper[1] - lower[1]) / 2 + abs(rng.normal(0, 0.004))
            items.append(place(model, turn, (edge + width / 2, y), GAP))
            edge += width + GAP + (rng.uniform(0, 0.02) if rng.random() < 0.1 else 0)
            depth = max(depth, upper[1] - lower[1])
            if edge > 0.6:
                break
        for item in items:
            item.pose[0, 3] -= edge / 2
            arrangement.objects.append(heap.add(item))
        left -= len(items)
        front += depth + 0.02 + (rng.uniform(0, 0.08) if rng.random() < 0.5 else 0)
    heading = about_z(rng.uniform(0, 2 * np.pi))
    for item in arrangement.objects:
        item.pose[:3] = heading @ (item.pose - np.array([[0] * 4, [0, 0, 0, front / 2], [0] * 4, [0] * 4]))[:3]
    _strays(stock, Heap(arrangement.objects), arrangement, min(left, int(rng.integers(0, 4))), 0.25)
    return arrangement


def _stands(model: ObjectModel) -> bool:
    sizes = size_of(model)
    return model.stackable and sizes.max() < 0.32 and sizes.min() > 0.008 and model.cavity is None


def _standing(model: ObjectModel, upright: bool) -> np.ndarray:
    """As it is; flat things (books, slabs) on their short edge if ``upright``, else on the long one."""
    sizes = size_of(model)
    if sizes[2] > 0.6 * sizes[:2].min():
        return np.eye(3)
    turn = axis_up(int(np.argmax(sizes)) if upright else int(np.argsort(sizes)[1]))
    lower, upper = box_of(place(model, turn, (0, 0), 0))
    if upper[0] - lower[0] > upper[1] - lower[1]:
        turn = about_z(np.pi / 2) @ turn
    return turn


def container(stock: Stock, max_objects: int) -> Arrangement:
    """One or two open vessels with things inside, some strays around."""
    rng = stock.rng
    arrangement = Arrangement(duration=2.0)
    left = max_objects
    heap = Heap()
    for group in range(1 if rng.random() < 0.6 else 2):
        vessel = stock.draw(_vessel, tries=120)
        if vessel is None or left < 2:
            break
        turn = about_z(rng.uniform(0, 2 * np.pi))
        outer = heap.beside(rng, vessel, turn, 0.03 + 0.2 * group)
        if box_of(outer)[0][2] > 0.01:
            break
        outer = Placed(vessel, outer.pose, group)
        contents = _contents(stock, outer, min(left - 1, int(rng.integers(1, 16))))
        arrangement.objects += [outer, *contents]
        for item in contents:
            heap.add(item)
        left -= 1 + len(contents)
    _strays(stock, heap, arrangement, min(left, int(rng.integers(0, 6))), 0.19)
    return arrangement


def _vessel(model: ObjectModel) -> bool:
    return model.cavity is not None and min(model.cavity.half_extent) > 0.018 and model.cavity.depth > 0.008


def _contents(stock: Stock, outer: Placed, count: int) -> list[Placed]:
    rng, cavity = stock.rng, outer.model.cavity
    narrow, depth = min(cavity.half_extent), cavity.depth

    def fits(model: ObjectModel) -> bool:
        sizes = np.sort(size_of(model))
        return sizes[1] < 1.35 * narrow and sizes[2] < max(1.8 * narrow, 2.5 * depth) and model.cavity is None

    one_kind = rng.random()
    models: list[ObjectModel] = []
    first = stock.draw(fits, tries=120)
    if first is None:
        return []
    kin = Stock(rng, (first.family,)) if one_kind < 0.5 else stock
    models = [first] * count if one_kind < 0.2 else [first, *kin.draw_many(count - 1, fits)]
    room = 4 * cavity.half_extent[0] * cavity.half_extent[1] * depth * rng.uniform(0.6, 1.6)
    heap, placed = Heap(), []
    floor = outer.pose[:3, :3] @ np.asarray(cavity.floor, np.float64) + outer.pose[:3, 3]
    for model in models:
        room -= 1.3 * float(np.prod(size_of(model)))
        if placed and room < 0:
            break
        sizes = size_of(model)
        turn = natural_rotation(rng, model, 0.8)
        if sizes.max() > 1.5 * narrow:  # too long to lie: stand it on end
            turn = about_z(rng.uniform(0, 2 * np.pi)) @ axis_up(int(np.argmax(sizes)))
        lower, upper = box_of(place(model, turn, (0, 0), 0))
        play = np.maximum(0.72 * narrow - np.linalg.norm((upper - lower)[:2]) / 2, 0)
        angle, radius = rng.uniform(0, 2 * np.pi), play * np.sqrt(rng.random())
        xy = floor[:2] + radius * np.array([np.cos(angle), np.sin(angle)])
        outside = np.linalg.norm((upper - lower)[:2]) / 2 > 0.9 * narrow
        base = floor[2] + (depth if outside else 0) + 0.003
        item = heap.above(model, turn, xy, base)
        placed.append(Placed(model, item.pose, outer.group))
    return placed


def _strays(stock: Stock, heap: Heap, arrangement: Arrangement, count: int, reach: float) -> None:
    for model in stock.draw_many(count, lambda model: size_of(model).max() < 0.3):
        arrangement.objects.append(heap.beside(stock.rng, model, natural_rotation(stock.rng, model), reach))
