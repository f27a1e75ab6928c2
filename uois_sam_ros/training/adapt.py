"""Adapt the compact model to a handful of labelled frames of one's own: the HPG head, then HDNet; all else is frozen.

Exported weights are taken as they are, batch norms folded in, so that a few frames cannot spoil any statistics. Every
view goes through the frozen networks once; the heads then train in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from ..errors import ModelError
from ..machine import git_revision
from ..models.compact import CompactModel
from ..models.layers import fold_batch_norm
from ..models.networks import load_reference
from ..models.spec import COMPACT
from ..runtime.manifest import Manifest, find_models
from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .clicks import Clicks
from .curves import plot_curves
from .fit import FitConfig, fit
from .hdnet import HdnetTask, selection_quality
from .losses import foreground_loss, heatmap_loss
from .own_frames import OwnFrames, OwnViews, own_views
from .ranks import Ranks
from .tokens import TokenSet, view_tokens


@dataclass(frozen=True)
class AdaptConfig:
    """How to adapt.

    Attributes:
        start: folder of exported models, "" = the shipped ones.
        fit: a tenth of the published rate, because what thousands of scenes taught should bend, not break; and an
            early stop, because a few frames are soon known by heart.
        peaks: beside drawn clicks HDNet learns from so many of the strongest peaks of the prompt generator itself.
    """

    frames: OwnFrames
    out: str
    start: str = ""
    fit: FitConfig = field(default_factory=lambda: FitConfig(lr=1e-4, patience=6))
    peaks: int = 16
    command: str = ""


def adapt_hpg(config: AdaptConfig) -> Path:
    """Adapt the prompt head of the exported model; return ``out/hpg.pth``, a whole compact model.

    Raises:
        InputError: too few labelled frames. ModelError: no model to start from, or HDNet was adapted before.
    """
    out = Path(config.out)
    if (out / "hdnet.pth").exists() and not (out / "hpg.pth").exists():
        raise ModelError(f"{out}: expected a run without hdnet.pth, because HDNet learns from HPG's prompts, got one; "
                         "use a new --out, adapt hpg first and hdnet after it")
    model, facts = _exported(config.start)
    views = own_views(config.frames)
    head = PromptHead(model)
    task = _HeadTask(head, {"train": _features(model, views.train), "valid": _features(model, views.valid)},
                     f"compact hpg {facts} {views.key}")
    history = fit(task, config.fit, Ranks(), out / "hpg.state", title="HPG head")
    return _save(config, out / "hpg.pth", model, history, facts, views)


def adapt_hdnet(config: AdaptConfig) -> Path:
    """Adapt HDNet of ``out/hpg.pth`` if there, else of the exported model; return ``out/hdnet.pth``.

    Raises:
        InputError: too few labelled frames. ModelError: no model to start from.
    """
    out = Path(config.out)
    model, facts = _adapted(out / "hpg.pth") if (out / "hpg.pth").exists() else _exported(config.start)
    views = own_views(config.frames)
    train, valid = (_clicks(model, part, config.peaks) for part in (views.train, views.valid))
    before = selection_quality(model.hdnet, valid)
    model.hdnet.requires_grad_(True)
    task = HdnetTask(model.hdnet, train, valid, f"compact hdnet {facts} {config.peaks} {views.key}")
    history = fit(task, config.fit, Ranks(), out / "hdnet.state", title="HDNet")
    after = selection_quality(model.hdnet, valid)
    print(f"IoU with the clicked object, validation clicks: decoder {after['decoder']:.4f}  HDNet before "
          f"{before['hdnet']:.4f}  after {after['hdnet']:.4f}  oracle {after['oracle']:.4f}")
    return _save(config, out / "hdnet.pth", model, history, {**facts, "quality": after}, views)


class PromptHead(nn.Module):
    """The prompt head of a compact model on its frozen features; the model's own layers, not copies."""

    def __init__(self, model: CompactModel) -> None:
        super().__init__()
        self.coarse, self.fine = model.encoder.prompt_coarse, model.encoder.prompt_fine
        self.requires_grad_(True)

    def forward(self, pixel: torch.Tensor, middle: torch.Tensor, heat: torch.Tensor,
                foreground: torch.Tensor) -> torch.Tensor:
        """Return the loss of each view, as the base stage weighs it."""
        logits = F.pixel_shuffle(self.coarse(middle.float()), 2) + self.fine(pixel.float())
        rows = zip(logits.float().split(1), heat.split(1), foreground.split(1))
        return torch.stack([foreground_loss(one[:, :1], found) + 0.5 * heatmap_loss(one[:, 1:], peaks)
                            for one, peaks, found in rows])


class _HeadTask:
    """The prompt head for ``fit``; everything is in memory."""

    def __init__(self, module: PromptHead, parts: dict[str, tuple[torch.Tensor, ...]], key: str) -> None:
        self.module, self._parts, self.key = module, parts, key
        self.sizes = {name: len(part[0]) for name, part in parts.items()}

    def batches(self, part: str, indices: Sequence[torch.Tensor], workers: int) -> Iterator[tuple[torch.Tensor, ...]]:
        yield from (tuple(tensor[index] for tensor in self._parts[part]) for index in indices)


@torch.no_grad()
def _features(model: CompactModel, views: Sequence[dict[str, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
    """Return pixel and middle features (fp16), heat and foreground of all views."""
    rows = []
    for view in tqdm(views, desc="features", unit="view"):
        pixel, middle, *_ = model.encoder.features(view["image"])
        rows.append((pixel[:, :-3].half(), middle.half(), view["heat"], view["foreground"]))
    return tuple(torch.cat(column) for column in zip(*rows))


@torch.no_grad()
def _clicks(model: CompactModel, views: Sequence[dict[str, torch.Tensor]], peaks: int) -> Clicks:
    """Click and decode all views."""
    sets = [view_tokens(model, view, peaks, number)
            for number, view in enumerate(tqdm(views, desc="clicks", unit="view"))]
    found = TokenSet(*(torch.cat([getattr(one, name) for one in sets]) for name in TokenSet.__dataclass_fields__))
    iou, mask_tokens, iou_token = model.decoder.score(found.tokens[None], found.pooled[None])
    return Clicks(mask_tokens[0], iou_token[0], iou[0], found.iou_object, found.on_object, found.view)


def _exported(start: str) -> tuple[CompactModel, dict[str, Any]]:
    """Return the frozen model of a folder of exported files, norms folded, and where it comes from."""
    manifest = Manifest.load(find_models(start))
    model = fold_batch_norm(CompactModel().eval())
    for spec in COMPACT:
        setattr(model, spec.name.removeprefix("compact_"), load_reference(spec.name, manifest.folder))
    sha256 = {spec.name: manifest.entry(spec.name)["sha256"] for spec in COMPACT}
    return model.requires_grad_(False), {"started_from": sha256, "folded": True}


def _adapted(path: Path) -> tuple[CompactModel, dict[str, Any]]:
    """Return the frozen model of a checkpoint that ``adapt_hpg`` wrote, and its facts."""
    content = load_checkpoint(path)
    model = fold_batch_norm(CompactModel().eval())
    model.load_state_dict(content["model"])
    return model.requires_grad_(False), content["facts"]


def _save(config: AdaptConfig, path: Path, model: CompactModel, history: Sequence[dict[str, float]],
          facts: dict[str, Any], views: OwnViews) -> Path:
    best = min(history, key=lambda row: row["validation"])
    facts = {**facts, "revision": git_revision() or "unknown", f"{path.stem}_command": config.command,
             f"{path.stem}_frames": views.frames, f"{path.stem}_validation": best["validation"],
             f"{path.stem}_validation_before": history[0]["validation"]}
    plot_curves(list(history), path.with_suffix(".png"))
    save_checkpoint(path, Progress(len(views.train), list(history), facts), model=model.state_dict())
    return path
