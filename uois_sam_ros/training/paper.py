"""HPG and HDNet of the paper's presets: labelled frames -> cached features -> trained heads and their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..machine import git_revision
from ..models.hdnet import HDNet
from ..models.heads import build_head, save_head
from ..models.hpg import HPG
from ..models.spec import model_spec
from ..replay.sources import InputOptions
from .backbones import Backbone, Chain, chain_of
from .cache import FeatureCache, Shelf
from .clicks import Clicks, collect_clicks
from .curves import plot_curves
from .fit import fit
from .frames import LabelledFrames, split_frames
from .hdnet import HdnetConfig, HdnetTask, selection_quality
from .hpg import HpgConfig, HpgTask
from .prepare import Item, data_key, prepare
from .ranks import Ranks


@dataclass(frozen=True)
class RunConfig:
    """What is trained on and where results go.

    Attributes:
        data, val: inputs with labels; without ``val`` the last ``held_out`` of every source of ``data`` validates.
        sam, dinov2: checkpoint files; only those that the preset's stage reads.
        percent: of the training frames, 1 to 100.
        cache, cache_gb: folder of features, "" = ``out/cache``; its budget in 10^9 bytes.
        reading: what the inputs do not say themselves.
    """

    preset: str
    data: str
    out: str
    sam: str = ""
    dinov2: str = ""
    val: str = ""
    held_out: float = 0.1
    percent: float = 100.0
    seed: int = 0
    cache: str = ""
    cache_gb: float = 20.0
    command: str = ""
    reading: InputOptions = InputOptions()

    def checkpoint_of(self, encoder: str) -> str:
        """Return the file of a backbone."""
        return self.sam if encoder.startswith("sam_") else self.dinov2


@dataclass(frozen=True)
class Prepared:
    """Frames of a run with their features on a shelf."""

    train: list[Item]
    valid: list[Item]
    backbone: Backbone
    shelf: Shelf


def prepare_run(run: RunConfig, chain: Chain, encoder: str, ranks: Ranks) -> Prepared:
    """Choose the frames and put the features of one backbone into the cache.

    Raises:
        InputError: too few labelled frames, a cache that is full or cannot be written.
        ModelError: a checkpoint that is not the one expected.
    """
    reading = replace(run.reading, read_depth=False)  # the backbones see colour alone
    frames = LabelledFrames(run.data, reading)
    held = LabelledFrames(run.val, reading) if run.val else frames
    split = split_frames(frames.sources, held_out=0.0 if run.val else run.held_out, percent=run.percent, seed=run.seed)
    cache = FeatureCache(run.cache or Path(run.out) / "cache", run.cache_gb, ranks.world)
    backbone = Backbone(encoder, run.checkpoint_of(encoder), ranks.device)
    shelf = cache.shelf(backbone.shelf_name)
    train = prepare(frames, split.train, backbone, shelf, chain.encoding, ranks)
    valid = prepare(held, range(len(held)) if run.val else split.valid, backbone, shelf, chain.encoding, ranks,
                    "to validate with")
    if ranks.first:
        print(f"{len(train)} frames to train on, {len(valid)} to validate with", flush=True)
        for left in dict.fromkeys((frames, held)):
            print("".join(f"left out: {sentence}\n" for sentence in left.left_out.sentences()), end="", flush=True)
    return Prepared(train, valid, backbone, shelf)


def train_hpg(run: RunConfig, config: HpgConfig, ranks: Ranks) -> Path:
    """Train the prompt generator of a preset; return its checkpoint, ``out/hpg.pth``."""
    chain = chain_of(run.preset)
    ready = prepare_run(run, chain, chain.prompts_from, ranks)
    network = new_hpg(chain, config)
    history = fit_hpg(network, chain, ready.train, ready.valid, ready.shelf, config, ranks, Path(run.out) / "hpg.state")
    path = Path(run.out) / "hpg.pth"
    if ranks.first:
        plot_curves(history, path.with_suffix(".png"))
        save_head(path, chain.hpg, network, _facts(run, ready, history, asdict(config)))
    return path


def train_hdnet(run: RunConfig, config: HdnetConfig, ranks: Ranks) -> Path:
    """Train the rescorer of a preset; return its checkpoint, ``out/hdnet.pth``."""
    chain = chain_of(run.preset)
    ready = prepare_run(run, chain, f"{chain.sam}_encoder", ranks)
    train, valid = (collect_clicks(items, ready.backbone, ready.shelf, config.clicks, chain.encoding, ranks)
                    for items in (ready.train, ready.valid))
    network = new_hdnet(chain, config)
    key = f"{chain.hdnet} {ready.shelf.folder.name} {config.clicks.name} {config.hidden} {config.dropout} " \
          f"{data_key((ready.train, ready.valid))}"
    history = fit_hdnet(network, train, valid, config, ranks, Path(run.out) / "hdnet.state", key)
    path = Path(run.out) / "hdnet.pth"
    if ranks.first:
        plot_curves(history, path.with_suffix(".png"))
        quality = selection_quality(network, valid)
        print("IoU with the clicked object, validation clicks: "
              + "  ".join(f"{name} {value:.4f}" for name, value in quality.items()))
        save_head(path, chain.hdnet, network, {**_facts(run, ready, history, asdict(config)), "quality": quality})
    return path


def new_hpg(chain: Chain, config: HpgConfig) -> HPG:
    """Return a fresh prompt generator."""
    torch.manual_seed(config.fit.seed)
    return build_head(chain.hpg, width=config.width, widths=config.widths)


def new_hdnet(chain: Chain, config: HdnetConfig) -> HDNet:
    """Return a fresh rescorer."""
    torch.manual_seed(config.fit.seed)
    return build_head(chain.hdnet, hidden=config.hidden, dropout=config.dropout)


def fit_hpg(network: HPG, chain: Chain, train: Sequence[Item], valid: Sequence[Item], shelf: Shelf, config: HpgConfig,
            ranks: Ranks, state: Path) -> list[dict[str, float]]:
    """Fit a prompt generator to items whose features are on ``shelf``; leave it on the processor, ready to be used."""
    task = HpgTask(network, model_spec(chain.hpg), train, valid, shelf, chain.encoding, config)
    history = fit(task, config.fit, ranks, state, title="HPG")
    network.cpu()
    return history


def fit_hdnet(network: HDNet, train: Clicks, valid: Clicks, config: HdnetConfig, ranks: Ranks, state: Path,
              key: str) -> list[dict[str, float]]:
    """Fit a rescorer to clicks; leave it on the processor, ready to be used."""
    history = fit(HdnetTask(network, train, valid, key), config.fit, ranks, state, title="HDNet")
    network.cpu()
    return history


def _facts(run: RunConfig, ready: Prepared, history: Sequence[dict[str, float]],
           settings: dict[str, Any]) -> dict[str, Any]:
    """Where the weights come from."""
    best = min(history, key=lambda row: row["validation"])
    return {"command": run.command, "revision": git_revision() or "unknown", "preset": run.preset,
            "percent": run.percent, "frames": len(ready.train), "validation_frames": len(ready.valid),
            "backbone": ready.backbone.shelf_name, "validation": best["validation"],
            "epochs": len(history) - 1, "settings": settings}
