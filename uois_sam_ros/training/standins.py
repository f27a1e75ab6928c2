"""Small stand-ins for SAM and DINOv2, trained from scratch on generated scenes.

They prove the whole chain where official weights cannot be had, and serve nothing else. SAM's is taught densely, then
with clicks on parts, objects and groups, its four masks free to specialise; last its IoU head, to convergence, on the
IoU with whichever level fits best. As with the official SAM, its own score then does not tell an object from its parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..machine import git_revision
from ..models.dinov2 import build_dinov2
from ..models.sam import SamPromptDecoder, build_sam
from ..models.spec import model_spec
from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .curves import plot_curves
from .dense import DenseLearner
from .fit import FitConfig, fit
from .losses import mask_loss
from .optim import build_optimizers, learning_rate
from .ranks import Ranks
from .views import CELLS_HW, ViewBatches, ViewConfig

VARIANT = "tiny"
LOG_EVERY = 20


@dataclass(frozen=True)
class StandinConfig:
    """How much each step sees.

    Attributes:
        samples: views for SAM's encoder and decoder together; two thirds as many teach each backbone densely before,
            a twentieth its IoU head afterwards. 5000 take about 45 minutes on one core.
        lr: peak; the rate falls to zero from ``decay_from`` of the views on.
    """

    data: str
    out: str
    samples: int = 5000
    iou_epochs: int = 30
    views: ViewConfig = ViewConfig()
    lr: float = 2e-3
    decay_from: float = 0.5
    amp: bool = True
    save_minutes: float = 2.0

    @property
    def dense_views(self) -> int:
        """Views for the dense step of a backbone."""
        return max(1, self.samples * 2 // 3)

    @property
    def iou_views(self) -> int:
        """Views for the IoU head."""
        return max(2 * self.views.batch, self.samples // 20)


def train_standins(config: StandinConfig, *, dinov2: bool) -> list[Path]:
    """Train SAM's stand-in, and DINOv2's when asked for; go on where an earlier call was stopped.

    Returns:
        The weight files, in the official format.
    """
    out = Path(config.out)
    made = []
    torch.manual_seed(config.views.seed)
    if dinov2:
        backbone = build_dinov2(VARIANT)
        learner = DenseLearner(backbone, backbone.norm.weight.shape[0])
        _run(config, "dinov2_dense", learner, config.dense_views, model_spec(f"dinov2_{VARIANT}_encoder"))
        made.append(_write(out / f"dinov2_{VARIANT}.pth", backbone))
    torch.manual_seed(config.views.seed)
    sam = build_sam(VARIANT)
    spec = model_spec(f"sam_{VARIANT}_encoder")
    channels = model_spec(f"sam_{VARIANT}_decoder").inputs[0].dims[1]
    _run(config, "sam_dense", DenseLearner(sam.image_encoder, channels), config.dense_views, spec)
    _run(config, "sam_prompts", PromptLearner(sam), config.samples, spec)
    _train_iou(config, sam, ViewBatches(config.data, spec, config.views))
    made.append(_write(out / f"sam_{VARIANT}.pth", sam))
    return made


class PromptLearner(nn.Module):
    """SAM, taught by clicks: each level that a click has (object, part, group) trains the mask that fits it best."""

    def __init__(self, sam: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = sam.image_encoder, SamPromptDecoder(sam)

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the losses of a batch of ``ViewBatches``."""
        logits, iou, quality, available = self.answers(batch)
        targets = _level_masks(batch)
        mask, _ = mask_loss(logits, targets, torch.ones_like(logits[:, :, 0]), available)
        known = available.any(-1)[..., None]
        return {"mask": mask, "iou": ((iou - quality) ** 2 * known).sum() / (known.sum() * iou.shape[-1]).clamp(min=1)}

    def answers(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return mask logits [B, P, H, N], predicted and best level's true IoU [B, P, H], levels bool[B, P, 3]."""
        embedding = self.encoder(batch["image"])
        decoded = [self.decoder(one[None], points) for one, points in zip(embedding, batch["points"])]
        rows, cols = CELLS_HW
        logits = torch.stack([masks[..., :rows, :cols].float().flatten(2) for masks, *_ in decoded])
        iou = torch.stack([predicted.float() for _, predicted, *_ in decoded])
        available = batch["wanted"] > 0
        with torch.no_grad():
            quality = best_level_iou(logits > 0, _level_masks(batch) > 0, available)
        return logits, iou, quality, available


class IouTask:
    """SAM's IoU head for ``fit``: from IoU tokens to the IoU with the best level."""

    def __init__(self, head: nn.Module, tokens: torch.Tensor, quality: torch.Tensor, held_out: float = 0.15) -> None:
        self.module = _IouLoss(head)
        first = round(len(tokens) * (1 - held_out))
        self._parts = {"train": (tokens[:first], quality[:first]), "valid": (tokens[first:], quality[first:])}
        self.sizes = {name: len(part[0]) for name, part in self._parts.items()}
        self.key = f"iou {len(tokens)}"

    def batches(self, part: str, indices: Sequence[torch.Tensor], workers: int) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield tokens and IoU of each batch."""
        tokens, quality = self._parts[part]
        yield from ((tokens[index], quality[index]) for index in indices)


class _IouLoss(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, tokens: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
        return ((self.head(tokens) - quality) ** 2).mean(1)


def best_level_iou(masks: torch.Tensor, targets: torch.Tensor, available: torch.Tensor) -> torch.Tensor:
    """Return the IoU of bool[B, P, H, N] masks with the best of bool[B, P, L, N] targets that are there, [B, P, H]."""
    found, wanted = masks.float(), targets.float()
    shared = found @ wanted.transpose(-1, -2)
    union = found.sum(-1)[..., None] + wanted.sum(-1)[:, :, None] - shared
    return (shared / union.clamp(min=1)).masked_fill(~available[:, :, None], 0).amax(-1)


def _level_masks(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the masks that the clicks ask for, float32[B, P, L, N] in {0, 1}."""
    maps = batch["maps"].flatten(2)[:, None]
    return (maps == batch["wanted"][..., None]).float()


def _run(config: StandinConfig, name: str, learner: Callable, views: int, spec) -> None:
    """Train one learner to the end of its views; resume from, and leave, ``out/<name>.state``."""
    path = Path(config.out) / f"{name}.state"
    batches = ViewBatches(config.data, spec, config.views)
    optimizers = build_optimizers(learner, config.lr)
    steps, progress = max(1, views // config.views.batch), Progress()
    if path.exists():
        content = load_checkpoint(path)
        learner.load_state_dict(content["learner"])
        for optimizer, state in zip(optimizers, content["optimizers"]):
            optimizer.load_state_dict(state)
        progress = Progress(content["samples"], content["history"])

    def save() -> None:
        save_checkpoint(path, progress, learner=learner.state_dict(), optimizers=[o.state_dict() for o in optimizers])

    learner.train()
    saved = time.monotonic()
    for step in range(progress.samples, steps):
        factor = learning_rate(step / steps, decay_from=config.decay_from)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = config.lr * factor
        with torch.autocast("cpu", torch.bfloat16, enabled=config.amp):
            losses = learner(batches[step])
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        progress.samples = step + 1
        if progress.samples % LOG_EVERY == 0 or progress.samples == steps:
            row = {key: float(value.detach()) for key, value in losses.items()}
            progress.history.append({"samples": progress.samples * config.views.batch, **row})
            text = "  ".join(f"{key} {value:.4f}" for key, value in row.items())
            print(f"{name} {progress.samples}/{steps}  {text}", flush=True)
        if time.monotonic() - saved > 60 * config.save_minutes or progress.samples == steps:
            save()
            saved = time.monotonic()
    plot_curves(progress.history, path.with_suffix(".png"))
    learner.eval()


def _train_iou(config: StandinConfig, sam: nn.Module, batches: ViewBatches) -> None:
    """Fit the IoU head on views that the steps before did not see."""
    learner = PromptLearner(sam).eval()
    first = config.samples // config.views.batch
    tokens, quality = [], []
    hook = learner.decoder.mask_decoder.iou_prediction_head.register_forward_pre_hook(
        lambda module, inputs: tokens.append(inputs[0].float()))
    with torch.no_grad():
        for step in range(first, first + config.iou_views // config.views.batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=config.amp):
                _, _, true, available = learner.answers(batches[step])
            quality.append(true.flatten(0, 1)[available.any(-1).flatten()])
            tokens[len(quality) - 1:] = [torch.cat(tokens[len(quality) - 1:])[available.any(-1).flatten()]]
    hook.remove()
    head = learner.decoder.mask_decoder.iou_prediction_head
    task = IouTask(head, torch.cat(tokens), torch.cat(quality))
    fit(task, FitConfig(epochs=config.iou_epochs, batch=32, seed=config.views.seed), Ranks(),
        Path(config.out) / "sam_iou.state", title="IoU head")


def _write(path: Path, network: nn.Module) -> Path:
    """Save weights as the official files hold them: names and tensors, nothing else."""
    draft = path.with_suffix(".tmp")
    torch.save({name: value.detach().cpu() for name, value in network.state_dict().items()}, draft)
    draft.replace(path)
    print(f"wrote {path} (revision {git_revision() or 'unknown'})", flush=True)
    return path
