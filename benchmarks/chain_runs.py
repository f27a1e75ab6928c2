"""Trainings and networks of ``paper_chain.py``: items and clicks once, heads as often as asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uois_sam_ros import Segmenter
from uois_sam_ros.config import RuntimeConfig, SegmenterConfig
from uois_sam_ros.models.hdnet import HDNet
from uois_sam_ros.models.hpg import HPG
from uois_sam_ros.models.spec import model_spec
from uois_sam_ros.runtime.base import Model
from uois_sam_ros.runtime.torch_backend import TorchModel
from uois_sam_ros.training.backbones import Backbone, Chain
from uois_sam_ros.training.cache import FeatureCache, Shelf
from uois_sam_ros.training.clicks import ClickConfig, Clicks, collect_clicks
from uois_sam_ros.training.fit import FitConfig
from uois_sam_ros.training.frames import LabelledFrames, split_frames
from uois_sam_ros.training.hdnet import HdnetConfig, selection_quality
from uois_sam_ros.training.head_commands import TINY_WIDTHS
from uois_sam_ros.training.hpg import HpgConfig
from uois_sam_ros.training.paper import fit_hdnet, fit_hpg, new_hdnet, new_hpg
from uois_sam_ros.training.prepare import Item, prepare
from uois_sam_ros.training.ranks import Ranks

ONE = Ranks()


@dataclass(frozen=True)
class Heads:
    """A trained pair; ``quality`` of HDNet on validation clicks."""

    hpg: HPG
    hdnet: HDNet
    quality: dict[str, float]


class Runner:
    """Frames, features and clicks of one run folder, and trainings on parts of them."""

    def __init__(self, data: str, out: Path, weights: Path, chain: Chain, frames: int, epochs: int) -> None:
        self.out, self.chain = out, chain
        schedule = FitConfig(epochs=epochs, drop_every=max(1, epochs // 3), batch=4, amp=True, save_minutes=60)
        self._hpg = HpgConfig(schedule, width=TINY_WIDTHS[0], widths=TINY_WIDTHS[1:])
        self._hdnet = HdnetConfig(replace(schedule, batch=30, amp=False), ClickConfig())
        found = LabelledFrames(data)
        share = min(100.0, max(1.0, 100 * frames / len(found)))
        chosen = split_frames(found.sources, held_out=0.0, percent=share, seed=0).train
        last = max(1, len(chosen) // 6)
        store = FeatureCache(out / "cache", 20)
        self._sam = Backbone(f"{chain.sam}_encoder", weights / f"{chain.sam}.pth")
        self._sam_shelf = store.shelf(self._sam.shelf_name)
        self.train = prepare(found, chosen[:-last], self._sam, self._sam_shelf, chain.encoding, ONE)
        self.valid = prepare(found, chosen[-last:], self._sam, self._sam_shelf, chain.encoding, ONE)
        self._prompt_shelf = self._sam_shelf
        if chain.prompts_from != self._sam.spec.name:
            backbone = Backbone(chain.prompts_from, weights / f"{chain.prompts_from.removesuffix('_encoder')}.pth")
            self._prompt_shelf: Shelf = store.shelf(backbone.shelf_name)
            prepare(found, chosen, backbone, self._prompt_shelf, chain.encoding, ONE)

    @cached_property
    def clicks(self) -> tuple[Clicks, Clicks]:
        """Clicks on the training and on the validation frames."""
        return tuple(collect_clicks(items, self._sam, self._sam_shelf, self._hdnet.clicks, self.chain.encoding, ONE)
                     for items in (self.train, self.valid))

    def heads(self, percent: int, seed: int) -> Heads:
        """Train both heads on a share of the training frames."""
        return Heads(self.hpg(percent, seed), **self.hdnet(percent, seed))

    def hpg(self, percent: int, seed: int, *, shuffled: bool = False) -> HPG:
        """Train a prompt generator; ``shuffled`` gives every frame the labels of another one."""
        items = [self.train[index] for index in self._part(percent, seed)]
        if shuffled:
            items = [replace(item, packed=other.packed, hw=other.hw) for item, other in zip(items, _turned(items))]
        config = replace(self._hpg, fit=replace(self._hpg.fit, seed=seed))
        network = new_hpg(self.chain, config)
        fit_hpg(network, self.chain, items, self.valid, self._prompt_shelf, config, ONE,
                self.out / f"hpg-{percent}-{seed}{'-shuffled' * shuffled}.state")
        return network

    def hdnet(self, percent: int, seed: int, *, shuffled: bool = False) -> dict[str, Any]:
        """Train a rescorer; ``shuffled`` gives every click the true IoU of another one."""
        train, valid = self.clicks
        train = train.subset(torch.isin(train.frame, torch.tensor(self._part(percent, seed))))
        if shuffled:
            order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
            train = replace(train, target=train.target[order])
        config = replace(self._hdnet, fit=replace(self._hdnet.fit, seed=seed))
        network = new_hdnet(self.chain, config)
        name = f"hdnet-{percent}-{seed}{'-shuffled' * shuffled}"
        fit_hdnet(network, train, valid, config, ONE, self.out / f"{name}.state", f"{name} {len(train)}")
        return {"hdnet": network, "quality": selection_quality(network, valid)}

    def _part(self, percent: int, seed: int) -> list[int]:
        order = np.random.default_rng(seed).permutation(len(self.train))
        return sorted(order[:max(1, round(len(self.train) * percent / 100))].tolist())


def _turned(items: Sequence[Item]) -> list[Item]:
    """Every item's place taken by another one's: turned by half."""
    half = max(1, len(items) // 2)
    return [*items[half:], *items[:half]]


class Remembered:
    """A network that answers what it was asked before from memory."""

    def __init__(self, model: Model) -> None:
        self._model, self._answers = model, {}
        self.spec, self.metadata = model.spec, model.metadata

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As ``Model.run``."""
        digest = hashlib.blake2b()
        for name in self.spec.input_names:
            digest.update(np.ascontiguousarray(inputs[name]).tobytes())
        key = digest.digest()
        if key not in self._answers:
            self._answers[key] = self._model.run(inputs)
        return self._answers[key]


@cache
def _frozen(weights: Path, chain: Chain) -> dict[str, Model]:
    sam = Backbone(f"{chain.sam}_encoder", weights / f"{chain.sam}.pth")
    networks = {sam.spec.name: sam.module, f"{chain.sam}_decoder": sam.decoder()}
    if chain.prompts_from != sam.spec.name:
        family = chain.prompts_from.removesuffix("_encoder")
        networks[chain.prompts_from] = Backbone(chain.prompts_from, weights / f"{family}.pth").module
    return {name: _model(name, network) for name, network in networks.items()}


def _model(name: str, network: torch.nn.Module) -> TorchModel:
    return TorchModel(model_spec(name), network, RuntimeConfig(threads=1))


def load_networks(weights: Path, chain: Chain) -> Callable[[SegmenterConfig, Heads], Segmenter]:
    """Return a maker of segmenters that share what the frozen networks answered; make a new one for each frame."""
    shared = {name: Remembered(model) for name, model in _frozen(weights, chain).items()}

    def make(config: SegmenterConfig, heads: Heads) -> Segmenter:
        own = {chain.hpg: heads.hpg, chain.hdnet: heads.hdnet}
        return Segmenter(config, {**shared, **{name: _model(name, network) for name, network in own.items()}})

    return make
