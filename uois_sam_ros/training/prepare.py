"""Labelled frames -> cached features and packed labels: all that the heads are trained on.

The backbones are frozen and frames are not augmented, so each frame goes through each backbone once.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..config import EncodingConfig
from ..encoding.transform import working_grid
from ..replay.sources import Sample
from ..types import Grid
from .backbones import Backbone
from .cache import Shelf
from .frames import LabelledFrames
from .ranks import Ranks

#: Value of a pixel that no loss may count.
IGNORED = np.uint16(65535)
FEATURES = "features"


@dataclass(frozen=True)
class Item:
    """A labelled frame without its picture.

    Attributes:
        key: sha256 of the picture, its name in the cache.
        hw: native size.
        packed: compressed labels, uint16[H, W]; see ``label``.
    """

    key: str
    source: str
    name: str
    hw: tuple[int, int]
    packed: bytes

    @property
    def labelled_key(self) -> str:
        """Name of the picture with these labels: the same picture may come back with mended ones."""
        return hashlib.sha256(self.key.encode() + self.packed).hexdigest()

    def label(self) -> np.ndarray:
        """Return uint16[H, W]: 0 background, ``IGNORED`` where nothing is known, else an object's id."""
        return np.frombuffer(zlib.decompress(self.packed), np.uint16).reshape(self.hw)


def make_item(sample: Sample) -> Item:
    """Return the item of a labelled sample."""
    color = sample.frame.color
    key = hashlib.sha256(f"{color.shape}".encode() + np.ascontiguousarray(color).tobytes()).hexdigest()
    label = sample.truth.astype(np.uint16)
    if sample.ignore is not None:
        label = np.where(sample.ignore, IGNORED, label)
    return Item(key, sample.source, sample.name, label.shape, zlib.compress(label.tobytes(), 1))


def prepare(frames: LabelledFrames, chosen: Collection[int], backbone: Backbone, shelf: Shelf, encoding: EncodingConfig,
            ranks: Ranks, purpose: str = "to learn from") -> list[Item]:
    """Encode what is missing or damaged in the cache; each rank does its share. Return the labelled frames.

    Args:
        purpose: of these frames, for the refusal.

    Raises:
        InputError: none is labelled; the cache is full or cannot be written.
    """
    items: list[Item] = []
    bar = tqdm(total=len(chosen), desc=backbone.spec.name, unit="frame", disable=None if ranks.first else True)
    for _, sample in frames.read(chosen):
        item = make_item(sample)
        if len(items) % ranks.world == ranks.rank and shelf.get(item.key) is None:
            grid = working_grid(item.hw, encoding)
            shelf.put(item.key, {FEATURES: backbone.encode(sample.frame, grid)})
        items.append(item)
        bar.update()
    bar.close()
    if not items:
        raise frames.none_labelled(purpose)
    ranks.wait()
    return items


def resize_label(label: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Return uint16[h, w]: the label under the centre of each cell."""
    rows, cols = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(hw, label.shape))
    return label[np.ix_(rows, cols)]


def map_label(item: Item, input_kind: str, map_hw: tuple[int, int], grid: Grid) -> np.ndarray:
    """Return the labels under the cells of a network's map, uint16[h, w]; ``IGNORED`` on padding.

    Args:
        input_kind: of the network; maps of "sam" cover its padded square, those of "dinov2" just the picture.
    """
    if input_kind != "sam":
        return resize_label(item.label(), map_hw)
    side = max(grid.padded_hw)
    inside = tuple(resized * size // side for resized, size in zip(grid.resized_hw, map_hw))
    label = np.full(map_hw, IGNORED)
    label[:inside[0], :inside[1]] = resize_label(item.label(), inside)
    return label


def data_key(parts: Sequence[Sequence[Item]]) -> str:
    """Return a name of these frames and labels, in their parts and order."""
    digest = hashlib.sha256()
    for part in parts:
        for item in part:
            digest.update(item.labelled_key.encode())
        digest.update(b"|")
    return digest.hexdigest()
