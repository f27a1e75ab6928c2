"""Stage 1: encoder, HPG head and promptable decoder, trained together from scratch."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ..machine import git_revision
from ..models.compact import CompactModel
from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .curves import plot_curves
from .dataset import SampleConfig, TrainingStream
from .fit import mix
from .losses import foreground_loss, heatmap_loss, mask_loss, sample_cells
from .optim import WeightAverage, build_optimizers, learning_rate
from .ranks import Ranks
from .warm_start import warm_start

#: Views that give a warm start its batch statistics.
START_VIEWS = 48


@dataclass(frozen=True)
class BaseConfig:
    """The base stage.

    Attributes:
        samples: views to see in all; the learning rate reaches zero there.
        cells: stride-4 cells a prompt on which masks are judged.
        scored: prompts a view whose predicted IoU is trained along.
        decay_from: share of ``samples`` after which the rate falls.
        start: folder of exported models to go on from; empty = from scratch.
    """

    data: str
    out: str
    samples: int = 60000
    lr: float = 2e-3
    cells: int = 192
    scored: int = 5
    decay_from: float = 0.6
    workers: int = 1
    amp: bool = False
    seed: int = 0
    log_every: int = 25
    save_minutes: float = 5.0
    command: str = ""
    start: str = ""


def train_base(config: BaseConfig, sample: SampleConfig, ranks: Ranks = Ranks()) -> Path:
    """Train, or resume from ``out/base.pth``; return the checkpoint's path.

    Several ranks share a batch: each augments and learns from its part of the frames, gradients are averaged. Batch
    norm stays with each rank's part.
    """
    torch.manual_seed(config.seed)
    model = CompactModel().to(ranks.device, memory_format=torch.channels_last)
    trained = nn.ModuleDict({"encoder": model.encoder, "decoder": model.decoder})
    path = Path(config.out) / "base.pth"
    if config.start and not path.exists():
        _start_from(config, sample, model, ranks)
    optimizers = build_optimizers(trained, config.lr)
    average = WeightAverage(model)
    progress = Progress(facts={"command": config.command, "seed": config.seed, "revision": git_revision() or "unknown"})
    if path.exists():
        progress = _resume(path, model, average, optimizers)
    torch.manual_seed(mix(config.seed, progress.samples, ranks.rank))
    part = replace(sample, batch=sample.batch // ranks.world)
    stream = TrainingStream(config.data, part, start=progress.samples, rank=ranks.rank, world=ranks.world)
    loader = iter(DataLoader(stream, batch_size=None, num_workers=config.workers,
                             prefetch_factor=4 if config.workers else None, worker_init_fn=_stop_with_parent))
    stop = _StopOnSignal()
    saved = shown = time.monotonic()
    sums: dict[str, float] = {}
    while progress.samples < config.samples and not ranks.any(stop.asked):
        factor = learning_rate(progress.samples / config.samples, decay_from=config.decay_from)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = config.lr * factor
        batch = {key: value.to(ranks.device) for key, value in next(loader).items()}
        with torch.autocast(torch.device(ranks.device).type, torch.bfloat16, enabled=config.amp):
            losses = base_losses(model, batch, config)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        ranks.average_gradients(trained)
        if torch.isfinite(nn.utils.clip_grad_norm_(trained.parameters(), 10.0)):
            for optimizer in optimizers:
                optimizer.step()
            average.update(model)
        progress.samples += ranks.world * len(batch["image"])
        for key, value in losses.items():
            sums[key] = sums.get(key, 0.0) + float(value.detach())
        sums["steps"] = sums.get("steps", 0) + 1
        if sums["steps"] >= config.log_every:
            now = time.monotonic()
            _log(progress, sums, config, factor, now - shown, ranks)
            sums, shown = {}, now
        if ranks.any(time.monotonic() - saved > 60 * config.save_minutes):
            _save(path, progress, model, average, optimizers, ranks)
            saved = time.monotonic()
    _save(path, progress, model, average, optimizers, ranks)
    return path


def base_losses(model: CompactModel, batch: dict[str, torch.Tensor],
                config: BaseConfig) -> dict[str, torch.Tensor]:
    """All weighted losses of one batch."""
    encoder, decoder = model.encoder, model.decoder
    image = batch["image"].contiguous(memory_format=torch.channels_last)
    pixel, middle, context, prompt_logits = encoder.features(image)
    losses = {
        "foreground": foreground_loss(prompt_logits[:, :1], batch["foreground"]),
        "heatmap": 0.5 * heatmap_loss(prompt_logits[:, 1:], batch["heat"]),
    }
    points = batch["points"]
    tokens = decoder.encode_points(pixel, middle, context, points)
    origin = decoder.origins(pixel, points, decoder.unit_points(points, pixel))
    weights = decoder.generate(tokens[:, :, 1:1 + decoder.hypotheses], origin)
    index, importance = sample_cells(batch["boxes"], batch["boundary"], config.cells)
    coarse = decoder.coarse_tensor(pixel, middle)
    fine = F.pixel_unshuffle(pixel[:, :-3], 2)
    cells = _gather(torch.cat([coarse, fine], dim=1), index)
    logits = decoder.logits_at(cells, weights).flatten(-3)
    # the two nested 2x2 layouts (stride-2 cell, sub-pixel) match unshuffling by 2 twice
    maps = F.pixel_unshuffle(F.pixel_unshuffle(batch["maps"].float(), 2), 2)
    wanted = batch["wanted"]
    seen = _gather(maps, index).unflatten(-1, (3, 4, 4)).permute(0, 1, 3, 2, 5, 4).flatten(-3)
    targets = (seen == wanted[..., None]).float()
    available = wanted > 0
    importance = importance[..., None].expand(-1, -1, -1, 16).flatten(-2)
    losses["mask"], quality = mask_loss(logits, targets, importance, available)
    losses["iou"] = _iou_loss(decoder, tokens, weights, coarse, pixel, middle, prompt_logits,
                              quality, available.any(-1), config.scored)
    return losses


def _iou_loss(decoder, tokens, weights, coarse, pixel, middle, prompt_logits, quality, known,
              scored: int) -> torch.Tensor:
    """Predicted against estimated IoU for the first ``scored`` prompts; masks give no gradient."""
    few = tuple(weight[:, :scored].detach() for weight in weights)
    with torch.no_grad():
        inside = decoder.mean_probabilities(decoder.coarse_logits(coarse, few), pixel, few)
        foreground = torch.sigmoid(prompt_logits[:, :1])
        pooled = decoder.pool(inside, pixel, middle, foreground)
    pooled = pooled.unflatten(1, (scored, decoder.hypotheses))
    predicted, _, _ = decoder.score(tokens[:, :scored], pooled)
    error = (predicted - quality[:, :scored]) ** 2 * known[:, :scored, None]
    return 2.0 * error.sum() / known[:, :scored].sum().clamp(min=1) / decoder.hypotheses


def _gather(maps: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Pick cells of [B, C, rows, cols] at int[B, P, N] -> [B, P, N, C]."""
    flat = maps.flatten(2).transpose(1, 2)
    batch = torch.arange(len(maps), device=maps.device)[:, None, None]
    return flat[batch, index]


STOP_SIGNALS = signal.SIGINT, signal.SIGTERM


def _stop_with_parent(_: int) -> None:
    """Let a loader process outlive Ctrl-C and torchrun's SIGTERM, which reach it too: its parent still saves."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class _StopOnSignal:
    """Finish the step and save when asked to stop (Ctrl-C, SIGTERM)."""

    def __init__(self) -> None:
        self.asked = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def _log(progress: Progress, sums: dict[str, float], config: BaseConfig, factor: float,
         seconds: float, ranks: Ranks) -> None:
    steps = sums.pop("steps")
    row = {key: value / steps for key, value in sums.items()}
    last = progress.history[-1]["samples"] if progress.history else 0
    rate = (progress.samples - last) / max(seconds, 1e-6)
    progress.history.append({"samples": progress.samples, "lr": factor * config.lr, **row})
    left = (config.samples - progress.samples) / max(rate, 1e-6) / 60
    if not ranks.first:
        return
    text = "  ".join(f"{key} {value:.4f}" for key, value in row.items())
    print(f"{progress.samples:>8}/{config.samples}  {text}  {rate:.1f}/s  {left:.0f} min left", flush=True)


def _save(path: Path, progress: Progress, model, average, optimizers, ranks: Ranks) -> None:
    if not ranks.first:
        return
    save_checkpoint(path, progress, model=model.state_dict(), average=average.module.state_dict(),
                    average_steps=average.steps, optimizers=[o.state_dict() for o in optimizers])
    plot_curves(progress.history, path.with_suffix(".png"))


def _start_from(config: BaseConfig, sample: SampleConfig, model: CompactModel, ranks: Ranks) -> None:
    """Load exported weights, with batch statistics from the first training views, the same on every rank."""
    stream = iter(TrainingStream(config.data, sample))
    batches = [next(stream) for _ in range(max(1, START_VIEWS // sample.batch))]
    image = torch.cat([b["image"] for b in batches if b["image"].shape == batches[0]["image"].shape])
    warm_start(model, config.start, image.to(ranks.device), batches[0]["points"][0].to(ranks.device))
    if ranks.first:
        print(f"started from {config.start}", flush=True)


def _resume(path: Path, model, average, optimizers) -> Progress:
    content = load_checkpoint(path)
    model.load_state_dict(content["model"])
    average.module.load_state_dict(content["average"])
    average.steps = content["average_steps"]
    for optimizer, state in zip(optimizers, content["optimizers"]):
        optimizer.load_state_dict(state)
    print(f"resumed {path} at {content['samples']} samples", flush=True)
    return Progress(content["samples"], content["history"], content["facts"])
