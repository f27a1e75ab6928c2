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
from uois_sam_ros.training.hdnet import HdnetConfig
from uois_sam_ros.training.head_commands import TINY_WIDTHS
from uois_sam_ros.training.hpg import HpgConfig
from uois_sam_ros.training.paper import fit_hdnet, fit_hpg, new_hdnet, new_hpg
from uois_sam_ros.training.prepare import Item, prepare
from uois_sam_ros.training.ranks import Ranks

ONE = Ranks()


@dataclass(frozen=True)
class Heads:
    """A trained pair.

    Attributes:
        choice: mean IoU in percent, of every validation frame with a click on an object, of the mask that ``decoder``,
            ``hdnet`` or ``oracle`` ranks first, and of a ``random`` one.
        halfway: the score between the means of HDNet's best ones for validation clicks on objects and on none.
    """

    hpg: HPG
    hdnet: HDNet
    choice: dict[str, np.ndarray]
    halfway: float


class Runner:
    """Frames, features and clicks of one run folder, and trainings on parts of them.

    Args:
        frames: to train on; a tenth as many validate.
        epochs: on all of them; a share is trained for up to ``most_epochs``, so that it takes as many steps.
    """

    def __init__(self, data: str, out: Path, weights: Path, chain: Chain, frames: int, epochs: int,
                 most_epochs: int) -> None:
        self.out, self.chain, self._epochs, self._most_epochs = out, chain, epochs, most_epochs
        schedule = FitConfig(batch=4, amp=True, save_minutes=60)
        self._hpg = HpgConfig(schedule, width=TINY_WIDTHS[0], widths=TINY_WIDTHS[1:])
        self._hdnet = HdnetConfig(replace(schedule, batch=30, amp=False), ClickConfig())
        found = LabelledFrames(data)
        last = max(1, frames // 10)
        share = min(100.0, max(1.0, 100 * (frames + last) / len(found)))
        chosen = split_frames(found.sources, held_out=0.0, percent=share, seed=0).train
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
        """Train a prompt generator; ``shuffled`` gives every frame the labels of another one, to validate with, too."""
        train, valid = [self.train[index] for index in self._part(percent, seed)], self.valid
        if shuffled:
            train, valid = _turned(train), _turned(valid)
        config = replace(self._hpg, fit=self._schedule(self._hpg.fit, percent, seed))
        network = new_hpg(self.chain, config)
        fit_hpg(network, self.chain, train, valid, self._prompt_shelf, config, ONE,
                self.out / f"hpg-{percent}-{seed}{'-shuffled' * shuffled}.state")
        return network

    def hdnet(self, percent: int, seed: int, *, shuffled: bool = False) -> dict[str, Any]:
        """Train a rescorer; ``shuffled`` gives every mask the true IoU of any other one, to validate with, too.

        Returns:
            What ``Heads`` says of it.
        """
        clicks, valid = self.clicks
        train = clicks.subset(torch.isin(clicks.frame, torch.tensor(self._part(percent, seed))))
        fitted = [mixed_targets(part, seed) if shuffled else part for part in (train, valid)]
        config = replace(self._hdnet, fit=self._schedule(self._hdnet.fit, percent, seed))
        network = new_hdnet(self.chain, config)
        name = f"hdnet-{percent}-{seed}{'-shuffled' * shuffled}"
        fit_hdnet(network, *fitted, config, ONE, self.out / f"{name}.state", f"{name} {len(train)}")
        found = scores(network, valid)
        best = found.amax(1)
        choice = {"random": of_frames(valid, valid.target.mean(1)), "decoder": chosen_iou(valid, valid.iou_predictions),
                  "hdnet": chosen_iou(valid, found), "oracle": chosen_iou(valid, valid.target)}
        return {"hdnet": network, "choice": choice,
                "halfway": float(best[valid.on_object].mean() + best[~valid.on_object].mean()) / 2}

    def _schedule(self, fit: FitConfig, percent: int, seed: int) -> FitConfig:
        epochs = min(self._most_epochs, self._epochs * 100 // percent)
        return replace(fit, epochs=epochs, drop_every=max(1, epochs // 3), seed=seed)

    def _part(self, percent: int, seed: int) -> list[int]:
        order = np.random.default_rng(seed).permutation(len(self.train))
        return sorted(order[:max(1, round(len(self.train) * percent / 100))].tolist())


def mixed_targets(clicks: Clicks, seed: int) -> Clicks:
    """Return clicks whose true IoU were dealt out anew among all masks of all clicks: nothing is left to be learnt."""
    order = torch.randperm(clicks.target.numel(), generator=torch.Generator().manual_seed(seed))
    return replace(clicks, target=clicks.target.flatten()[order].view_as(clicks.target))


@torch.no_grad()
def scores(network: HDNet, clicks: Clicks) -> torch.Tensor:
    """Return HDNet's scores [N, H]."""
    return network(clicks.mask_tokens.float(), clicks.iou_token.float(), clicks.iou_predictions.float())


def chosen_iou(clicks: Clicks, score: torch.Tensor) -> np.ndarray:
    """Return the mean IoU in percent of the masks that a score [N, H] ranks first, see ``of_frames``."""
    return of_frames(clicks, clicks.target.gather(1, score.argmax(1, keepdim=True))[:, 0])


def of_frames(clicks: Clicks, iou: torch.Tensor) -> np.ndarray:
    """Return the mean in percent over the clicks on objects of each frame that has one."""
    found = clicks.on_object
    frames, place = np.unique(clicks.frame[found].numpy(), return_inverse=True)
    return 100 * np.bincount(place, iou[found].numpy(), len(frames)) / np.bincount(place)


def _turned(items: Sequence[Item]) -> list[Item]:
    """Return the items with each other's labels, those of the one half a round further."""
    half = max(1, len(items) // 2)
    return [replace(item, packed=other.packed, hw=other.hw)
            for item, other in zip(items, [*items[half:], *items[:half]])]


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
