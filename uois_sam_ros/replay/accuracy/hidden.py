"""How much of each true object others hide, from data that knows whole objects: shards and amodal annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ...datasets.coco import Coco
from ...datasets.coco_masks import read_mask
from ...datasets.shards import ShardReader
from ...datasets.synthetic import Synthetic
from ..sources import Input, Sample

#: Place of a sample in its input, sample -> id of a true object -> hidden share; ``None`` when the frame does not tell.
HiddenShares = Callable[[int, Sample], Mapping[int, float] | None]


def hidden_shares(samples: Input) -> HiddenShares:
    """Return what tells the hidden shares of the frames of an input."""
    if isinstance(samples, Synthetic):
        return _FromShards(samples)
    if isinstance(samples, Coco):
        return _FromAnnotations(samples)
    return lambda index, sample: None


class _FromShards:
    def __init__(self, dataset: Synthetic) -> None:
        self._reader = ShardReader(dataset.root, cache=1)

    def __call__(self, index: int, sample: Sample) -> Mapping[int, float]:
        stored = self._reader.frame(index)
        return {int(fact["id"]): _share(int((stored.label == fact["id"]).sum()), int(whole.sum()))
                for fact, whole in zip(stored.meta["objects"], stored.amodal)}


class _FromAnnotations:
    """Annotations with ``visible_mask`` beside ``segmentation``, as UOAIS-Sim has them."""

    def __init__(self, dataset: Coco) -> None:
        self._dataset = dataset

    def __call__(self, index: int, sample: Sample) -> Mapping[int, float] | None:
        annotations = self._dataset.file.annotations(self._dataset.indices[index])
        shares = {}
        for annotation in annotations:
            if not annotation.get("visible_mask") or not annotation.get("segmentation"):
                continue
            where = f"{sample.source}/{sample.name}, annotation {annotation.get('id')}"
            visible, whole = (read_mask(annotation[key], sample.truth.shape, where)
                              for key in ("visible_mask", "segmentation"))
            number = int(np.bincount(sample.truth[visible]).argmax()) if visible.any() else 0
            if number:
                shares[number] = _share(int(visible.sum()), int((visible | whole).sum()))
        return shares or None


def _share(visible: int, whole: int) -> float:
    return 1 - visible / whole if whole else 0.0
