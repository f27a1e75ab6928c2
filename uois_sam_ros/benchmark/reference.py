"""The reference assembly: the paper's steps put together from the parts that everybody has, fp32 torch eager.

SAM's own classes from the ``segment-anything`` package (image encoder on the padded square, prompt encoder, mask
decoder, ``postprocess_masks``), DINOv2 at 336x448, HPG and HDNet (arXiv 2409.15481), pictures resized by Pillow as
SAM's own predictor does. It is what one would otherwise run; speed and masks of the pipeline are compared with it.

Points are converted with pixel centres at integers on every grid, as everywhere in this package; SAM's predictor leaves
out the half pixel, which moves a prompt by 0.3 pixels of 1024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from ..config import SegmenterConfig
from ..encoding.kinds import IMAGENET_MEAN, IMAGENET_STD, longest_side_hw
from ..errors import BackendError
from ..models.networks import load_reference
from ..models.sam import SamPromptDecoder, build_sam
from ..models.spec import DINOV2_HW
from ..runtime.base import thread_count
from ..types import Frame
from .frames import even_points
from .timing import Timed
from .weights import sam_networks

#: Prompts a decoder run, as SAM's own mask generator takes them.
BATCH = 64


@dataclass(frozen=True)
class ReferenceStages:
    """What the assembly made of one frame.

    Attributes:
        points_px: float32[M, 2] native (x, y). logits: [M, 4, s, s] on SAM's padded mask grid.
        iou_predictions, scores: [M, 4] before and after HDNet.
        label: uint16[H, W]. ms: stage -> milliseconds.
    """

    points_px: torch.Tensor
    logits: torch.Tensor
    iou_predictions: torch.Tensor
    scores: torch.Tensor
    label: np.ndarray
    ms: Mapping[str, float]


class ReferenceAssembly:
    """Frame -> label image, a ``timing.Side``.

    Args:
        config: a preset with SAM; its thresholds are used.
        modules: its networks by name, as ``load_reference`` gives them.
        points: that many evenly spread points instead of those it finds; 0 for its own.
        device: "cpu", or a CUDA device of torch; "" takes the GPU where torch has one.

    Raises:
        ConfigError: a configuration without SAM. BackendError: a device that is not there.
    """

    def __init__(self, config: SegmenterConfig, modules: Mapping[str, nn.Module], *, points: int = 0,
                 device: str = "") -> None:
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if device != "cpu" and not torch.cuda.is_available():
            raise BackendError(f"--reference-device: expected a GPU that torch can use, got '{device}' and none; "
                               "use --reference-device cpu")
        torch.set_num_threads(thread_count(config.runtime.threads))
        self._config, self._points, self._device = config, points, torch.device(device)
        names = sam_networks(config)
        sam_encoder, *others, hpg = config.encoding.encoders
        self._sam = _official_sam(modules[sam_encoder], modules[config.decoding.decoder],
                                  sam_encoder.removeprefix("sam_").removesuffix("_encoder")).to(self._device)
        self._backbone = modules[others[0]].to(self._device) if others else None
        self._hpg = modules[hpg].to(self._device)
        self._hdnet = modules[names[-1]].to(self._device)
        self._tokens: list[torch.Tensor] = []
        self._sam.mask_decoder.transformer.register_forward_hook(  # the official forward keeps the tokens to itself
            lambda module, inputs, outputs: self._tokens.append(outputs[0]))

    @property
    def device_name(self) -> str:
        """What it runs on, for people."""
        return torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"

    def __call__(self, frame: Frame) -> Timed:
        stages = self.stages(frame)
        return Timed(stages.ms, int(stages.label.max()), len(stages.points_px))

    @torch.inference_mode()
    def stages(self, frame: Frame) -> ReferenceStages:
        """Segment one frame and return what every stage made."""
        marks = [self._now()]
        embedding, foreground, heatmap, input_hw = self._encode(frame)
        marks.append(self._now())
        points = self._find_points(foreground, heatmap, frame, input_hw)
        if self._points:
            points = torch.from_numpy(even_points((frame.height, frame.width), self._points)).to(self._device)
        marks.append(self._now())
        logits, iou, tokens = self._decode(embedding, points, frame, input_hw)
        marks.append(self._now())
        scores = self._hdnet(tokens[:, 1:5], tokens[:, 0], iou).clip(0, 1)
        marks.append(self._now())
        label = self._select(logits, scores, frame, input_hw)
        marks.append(self._now())
        names = ("encoding", "prompting", "decoding", "rescoring", "selection")
        ms = {name: 1000 * (after - before) for name, before, after in zip(names, marks, marks[1:])}
        return ReferenceStages(points, logits, iou, scores, label, {**ms, "total": 1000 * (marks[-1] - marks[0])})

    def _encode(self, frame: Frame) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, int]]:
        """Return the embedding, foreground and heatmap float32[h, w], and the picture's (h, w) in SAM's square."""
        picture = Image.fromarray(frame.color)
        input_hw = longest_side_hw((frame.height, frame.width), self._sam.image_encoder.img_size)
        embedding = self._sam.image_encoder(self._sam.preprocess(self._upload(picture, input_hw)))
        features = embedding
        if self._backbone is not None:
            mean, std = (torch.tensor(values, device=self._device).view(1, 3, 1, 1)
                         for values in (IMAGENET_MEAN, IMAGENET_STD))
            features = self._backbone((self._upload(picture, DINOV2_HW) / 255 - mean) / std)
        foreground, heatmap = self._hpg(features)
        return embedding, foreground[0, 0], heatmap[0, 0], input_hw

    def _upload(self, picture: Image.Image, hw: tuple[int, int]) -> torch.Tensor:
        resized = np.array(picture.resize(hw[::-1], Image.Resampling.BILINEAR))
        return torch.from_numpy(resized).to(self._device).permute(2, 0, 1)[None].float()

    def _find_points(self, foreground: torch.Tensor, heatmap: torch.Tensor, frame: Frame,
                     input_hw: tuple[int, int]) -> torch.Tensor:
        """Return the native points of the best heatmap peaks on foreground."""
        limits = self._config.prompting
        highest = F.max_pool2d(heatmap[None, None], limits.peak_window, 1, limits.peak_window // 2)[0, 0]
        peaks = (heatmap == highest) & (heatmap > limits.heatmap_threshold) & (foreground > limits.foreground_threshold)
        covered_hw = torch.tensor(heatmap.shape, device=self._device)
        if self._backbone is None:  # the maps cover SAM's square, padding included
            covered_hw = covered_hw * torch.tensor(input_hw, device=self._device) / self._sam.image_encoder.img_size
        rows, cols = torch.nonzero(peaks, as_tuple=True)
        order = heatmap[rows, cols].argsort(descending=True)
        cells = torch.stack([cols, rows], dim=1)[order] + 0.5
        native = cells * (torch.tensor([frame.width, frame.height], device=self._device) / covered_hw.flip(0)) - 0.5
        inside = (cells < covered_hw.flip(0)).all(dim=1)
        return native[inside][:limits.max_points].float()

    def _decode(self, embedding: torch.Tensor, points: torch.Tensor, frame: Frame,
                input_hw: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits [M, 4, s, s], predicted IoU [M, 4] and the tokens [M, 7, 256], IoU token first."""
        sam, side = self._sam, self._sam.prompt_encoder.mask_input_size[0]
        if not len(points):
            return (torch.zeros(0, 4, side, side, device=self._device), torch.zeros(0, 4, device=self._device),
                    torch.zeros(0, 7, 256, device=self._device))
        scale = torch.tensor([input_hw[1] / frame.width, input_hw[0] / frame.height], device=self._device)
        self._tokens.clear()
        decoded = []
        for chunk in ((points + 0.5) * scale - 0.5).split(BATCH):
            sparse, dense = sam.prompt_encoder(points=(chunk[:, None], torch.ones(len(chunk), 1, device=self._device)),
                                               boxes=None, masks=None)
            decoded.append(sam.mask_decoder.predict_masks(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense))
        logits, iou = (torch.cat(parts) for parts in zip(*decoded))
        return logits, iou, torch.cat(self._tokens)

    def _select(self, logits: torch.Tensor, scores: torch.Tensor, frame: Frame,
                input_hw: tuple[int, int]) -> np.ndarray:
        """Best of four, score limit, masks at native size, area limit, mask suppression, the better one on top."""
        limits, native_hw = self._config.selection, (frame.height, frame.width)
        label = torch.zeros(native_hw, dtype=torch.int32, device=self._device)
        best, chosen = scores.max(dim=1) if len(scores) else (scores.sum(dim=1), scores.sum(dim=1).long())
        order = [index for index in best.argsort(descending=True).tolist() if best[index] >= limits.score_threshold]
        if order:
            low_res = logits[order, chosen[order]][:, None]
            masks = self._sam.postprocess_masks(low_res, input_hw, native_hw)[:, 0] > self._sam.mask_threshold
            area, whole = masks.flatten(1).sum(dim=1), label.numel()
            masks = masks[(area > 0) & (area >= limits.min_area * whole) & (area <= limits.max_area * whole)]
            for number, index in reversed(list(enumerate(_suppress(masks, limits.nms_iou), start=1))):
                label[masks[index]] = number
        ids, label = torch.unique(label, return_inverse=True)  # a mask that others cover gets no number
        return (label + int(ids[0] > 0)).cpu().numpy().astype(np.uint16)

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return perf_counter()


def _suppress(masks: torch.Tensor, limit: float) -> list[int]:
    """Return the masks bool[K, H, W], best first, of which none overlaps a better one by more than ``limit`` IoU."""
    flat = masks.flatten(1).float()
    both, area = flat @ flat.T, flat.sum(dim=1)
    overlap = (both / (area[:, None] + area[None] - both)).cpu().numpy()
    kept: list[int] = []
    for index in range(len(masks)):
        if not kept or overlap[index, kept].max() <= limit:
            kept.append(index)
    return kept


def _official_sam(encoder: nn.Module, decoder: SamPromptDecoder, variant: str) -> nn.Module:
    """Return the package's own ``Sam`` with the weights of two networks."""
    sam = build_sam(variant)
    sam.image_encoder, sam.mask_decoder = encoder, decoder.mask_decoder
    prompts = sam.prompt_encoder
    prompts.pe_layer, prompts.point_embeddings[1] = decoder.position, decoder.point
    prompts.not_a_point_embed, prompts.no_mask_embed = decoder.no_point, decoder.no_mask
    return sam.eval()


def load_modules(config: SegmenterConfig, folder: str | Path) -> dict[str, nn.Module]:
    """Return the torch networks of a preset with SAM with the weights of an exported model folder."""
    return {name: load_reference(name, folder) for name in sam_networks(config)}


def fresh_modules(config: SegmenterConfig) -> dict[str, nn.Module]:
    """Return the torch networks of a preset with SAM with fresh weights."""
    from ..training.export_preset import random_network

    return {name: random_network(name) for name in sam_networks(config)}
