"""``uois-sam dataset check``: is all of it there, and can it be read?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..replay.evaluate import track
from ..replay.sources import Sample
from .base import Dataset, Inventory
from .info import UNVERIFIED, DatasetInfo

#: Groups, and rows of samples, that are printed before the rest is summed up.
_MOST_GROUPS, _MOST_ROWS = 12, 30


@dataclass(frozen=True)
class Look:
    """What one frame was like when it was read whole; ``error`` says why it could not be used."""

    name: str
    size: str = "-"
    objects: str = "-"
    depth: str = "-"
    camera: str = "-"
    error: str = ""


@dataclass(frozen=True)
class Check:
    """What a check found: the inventory, and the frames that were read whole."""

    info: DatasetInfo
    root: str
    inventory: Inventory
    looks: tuple[Look, ...]
    notes: tuple[str, ...]

    @property
    def refused(self) -> tuple[Look, ...]:
        """Frames that could not be used."""
        return tuple(look for look in self.looks if look.error)

    @property
    def passed(self) -> bool:
        """Everything that was looked at is as it should be."""
        return self.inventory.complete and not self.refused


def check_dataset(dataset: Dataset, count: int, *, progress: bool = False) -> Check:
    """Compare counts and read ``count`` frames spread over the data set (0 = all of them)."""
    inventory = dataset.inventory()
    indices = track(iter(spread(len(dataset), count)), "check", progress)
    looks = tuple(look_at(dataset.sample(index)) for index in indices)
    return Check(dataset.info, str(dataset.root), inventory, looks, tuple(dataset.notes))


def spread(total: int, count: int) -> list[int]:
    """Return ``count`` indices from the first to the last, evenly; all of them for 0 or when there are fewer."""
    if count == 0 or count >= total:
        return list(range(total))
    return [int(index) for index in np.unique(np.linspace(0, total - 1, count).round())]


def format_check(check: Check) -> str:
    """Return the check as text: counts, what is missing, a row a sample, remarks, the verdict."""
    info, inventory = check.info, check.inventory
    published = "none is published for this part" if inventory.published is None else f"published {inventory.published}"
    if inventory.published is not None:
        short = inventory.published - inventory.found
        published += ": as it should be" if short == 0 else f": {abs(short)} {'missing' if short > 0 else 'too many'}"
    groups = [f"{name} {count}" for name, count in inventory.groups.items()]
    if len(groups) > _MOST_GROUPS:
        groups = [*groups[:_MOST_GROUPS], f"and {len(groups) - _MOST_GROUPS} more"]
    lines = [f"{info.title}, {check.root}", f"layout    {info.layout}", f"follows   {info.follows}",
             f"frames    found {inventory.found}, {published}", f"groups    {', '.join(groups)}"]
    lines += [f"missing   {phrase}" for phrase in inventory.missing]
    lines.append(f"read      {len(check.looks)} of {inventory.found} frames whole: "
                 f"{len(check.looks) - len(check.refused)} good, {len(check.refused)} refused")
    lines += _table(check.looks)
    lines += [f"refused   {look.name}: {look.error}" for look in check.refused]
    lines += [f"note      {note}" for note in check.notes]
    lines.append(f"status    {_status(check)}")
    return "\n".join(lines)


def _status(check: Check) -> str:
    if check.info.verified != UNVERIFIED:
        return check.info.verified
    if check.passed and check.inventory.published is not None:
        return (f"{UNVERIFIED} so far; here the count is the published one and all frames that were read are good: "
                "tell the maintainers, so that this line can go")
    return UNVERIFIED


def look_at(sample: Sample) -> Look:
    """Describe a sample; its pixels are let go."""
    name = f"{sample.source}/{sample.name}"
    if sample.frame is None:
        return Look(name, error=sample.error or "unreadable")
    frame = sample.frame
    objects = "-" if sample.truth is None else str(len(np.unique(sample.truth[sample.truth > 0])))
    depth = "none"
    if frame.depth_m is not None:
        valid = np.isfinite(frame.depth_m) & (frame.depth_m > 0)
        near = f", median {np.median(frame.depth_m[valid]):.2f} m" if valid.any() else ""
        depth = f"{100 * valid.mean():.0f} % valid{near}"
    k = frame.intrinsics
    camera = "none" if k is None else f"{k.fx:.1f} {k.fy:.1f} {k.cx:.1f} {k.cy:.1f}"
    return Look(name, f"{frame.width}x{frame.height}", objects, depth, camera)


def _table(looks: tuple[Look, ...]) -> list[str]:
    rows = [("frame", "size", "objects", "depth", "fx fy cx cy")]
    rows += [(look.name, look.size, look.objects, look.depth, look.camera) for look in looks[:_MOST_ROWS]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    if len(looks) > _MOST_ROWS:
        lines.append(f"and {len(looks) - _MOST_ROWS} more")
    return [" " * 10 + line for line in lines]
