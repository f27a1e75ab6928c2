"""The parity gate: fixed frames through the pipeline with an engine in it, against fp32 on ONNX Runtime.

One network at a time is replaced, so that a bad figure names it; then all together. Masks and scores are compared at
the reference's own prompts, label images with the prompts that each side finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import numpy as np

from ..config import RuntimeConfig, SegmenterConfig, update
from ..decoding import Decoder
from ..encoding.encode import Encoder
from ..errors import BackendError, ModelError
from ..example import box_scene
from ..prompting import make_prompter
from ..replay.metrics import score_frame
from ..rescoring import make_rescorer
from ..runtime.base import Model
from ..runtime.factory import load_model
from ..runtime.parity_report import ParityReport
from ..selection import select
from ..types import Frame, Intrinsics, Prompts
from .profiles import networks

#: Generated scenes; their seeds are not those of the calibration.
SEEDS = (101, 102)
#: Pictures that come with the package: color uint8[N, H, W, 3], depth_mm uint16[N, H, W], intrinsics float64[N, 4].
SHIPPED = ("demo", "parity.npz")


def fixed_frames() -> list[Frame]:
    """Return the frames that every engine is proven on: generated scenes, then those that are shipped."""
    frames = [box_scene(seed=seed)[0] for seed in SEEDS]
    path = resources.files(__package__.rpartition(".")[0]).joinpath(*SHIPPED)
    with path.open("rb") as stream, np.load(stream) as content:
        shipped = zip(content["color"], content["depth_mm"], content["intrinsics"])
        frames += [Frame(color, depth * np.float32(0.001), Intrinsics(*map(float, lens)), f"shipped_{k}")
                   for k, (color, depth, lens) in enumerate(shipped)]
    return frames


class Recorder:
    """A model that keeps what it was given; encoders and heads answer a picture that they know without running."""

    def __init__(self, model: Model) -> None:
        self.spec, self.metadata, self._model = model.spec, model.metadata, model
        self._remembers = model.spec.kind in ("encoder", "head")
        self._known: dict[bytes, dict[str, np.ndarray]] = {}
        self.inputs: list[dict[str, np.ndarray]] = []

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model; see ``runtime.base.Model.run``."""
        if not self._remembers:
            self.inputs.append(dict(inputs))
            return self._model.run(inputs)
        key = b"".join(np.ascontiguousarray(inputs[name]).tobytes() for name in self.spec.input_names)
        if key not in self._known:
            self.inputs.append(dict(inputs))
            self._known[key] = self._model.run(inputs)
        return {name: array.copy() for name, array in self._known[key].items()}


@dataclass(frozen=True)
class _Seen:
    """What the reference makes of a frame: prompts, masks and scores at them, and the label image."""

    prompts: Prompts
    masks: np.ndarray
    best: np.ndarray
    sure: np.ndarray
    scores: np.ndarray
    label: np.ndarray


class Parity:
    """The reference and its answers; compares models with it.

    Args:
        config: the pipeline. reference_dir: folder of its fp32 models.
        frames: default ``fixed_frames()``.

    Raises:
        ModelError: the reference models are not there.
    """

    def __init__(self, config: SegmenterConfig, reference_dir: str, frames: Sequence[Frame] | None = None) -> None:
        self._config = config = _looking_once(config)
        runtime = RuntimeConfig(threads=config.runtime.threads, model_dir=reference_dir)
        self.reference = {name: Recorder(load_model(name, runtime)) for name in networks(config)}
        self._frames = list(fixed_frames() if frames is None else frames)
        self._seen = [self._look(frame) for frame in self._frames]

    def compare(self, models: Mapping[str, Model], precision: str) -> ParityReport:
        """Compare the pipeline in which ``models`` replace the reference's networks.

        Returns:
            Masks and scores of the worst frame, and the mean overlap F: one object that is elected in another way
            moves a single frame's F by a tenth. NaN when a model gave numbers that are not finite.
        """
        stages = _Stages(self._config, {**self.reference, **models})
        rows = [self._row(stages, frame, seen) for frame, seen in zip(self._frames, self._seen)]
        iou, error, f = (np.asarray(column) for column in zip(*rows))
        return ParityReport(precision, float(iou.min()), float(error.max()), float(f.mean()), len(rows))

    def _look(self, frame: Frame) -> _Seen:
        stages = _Stages(self._config, self.reference)
        features = stages.encode(frame)
        prompts = stages.prompt(features)
        mask_set = stages.rescore(features, prompts, stages.decode(features, prompts))
        best = mask_set.scores.argmax(axis=1)
        top = mask_set.scores[np.arange(len(best)), best]
        sure = top >= self._config.selection.score_threshold
        return _Seen(prompts, _chosen(mask_set.low_res_masks, best), best, sure if sure.any() else np.ones_like(sure),
                     mask_set.scores, select(frame, features, mask_set, self._config.selection).label)

    def _row(self, stages: _Stages, frame: Frame, seen: _Seen) -> tuple[float, float, float]:
        features = stages.encode(frame)
        mask_set = stages.rescore(features, seen.prompts, stages.decode(features, seen.prompts))
        finite = np.isfinite(mask_set.low_res_masks).all() and np.isfinite(mask_set.scores).all() and all(
            np.isfinite(array).all() for array in features.maps.values())
        if not finite:
            return (float("nan"),) * 3
        masks = _chosen(mask_set.low_res_masks, seen.best)
        common = (masks & seen.masks).sum(axis=(1, 2))
        union = (masks | seen.masks).sum(axis=(1, 2))
        iou = np.where(union > 0, common / np.maximum(union, 1), 1.0)
        prompts = stages.prompt(features)
        own = stages.rescore(features, prompts, stages.decode(features, prompts))
        label = select(frame, features, own, self._config.selection).label
        return (float(iou[seen.sure].mean()) if len(iou) else 1.0,
                float(np.abs(mask_set.scores - seen.scores).mean()) if len(iou) else 0.0,
                float(score_frame(label, seen.label).overlap_f))


def _looking_once(config: SegmenterConfig) -> SegmenterConfig:
    """Without a first look every model is shown the same picture, whatever another one made of a coarse look."""
    return update(config, {"encoding": {"focus": "off"}})


class _Stages:
    """The stages of a configuration with given models."""

    def __init__(self, config: SegmenterConfig, models: Mapping[str, Model]) -> None:
        self.encode = Encoder(config.encoding, [models[name] for name in config.encoding.encoders])
        self.prompt = make_prompter(config.prompting)
        self.decode = Decoder(config.decoding, models[config.decoding.decoder])
        rescorer = models[config.rescoring.rescorer] if config.rescoring.strategy == "hdnet" else None
        self.rescore = make_rescorer(config.rescoring, rescorer)


def _chosen(masks: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return bool[N, h, w], the thresholded hypothesis ``best`` of every prompt."""
    return masks[np.arange(len(best)), best] > 0


def worst_block(variant: str, reference: str, inputs: Mapping[str, np.ndarray]) -> str:
    """Name the operator of the file ``variant`` that first strays from ``reference``; "" where it cannot be told."""
    try:
        from ..models.blocks import first_stray
    except ImportError:  # the onnx package is not on every robot
        return ""
    try:
        return first_stray(variant, reference, inputs)
    except (ModelError, BackendError):
        return ""


def with_worst(report: ParityReport, worst: str) -> ParityReport:
    """Return the report with the worst network or block named."""
    return replace(report, worst=worst) if worst else report


def record_inputs(config: SegmenterConfig, model_dir: str, frames: Sequence[Frame]) -> dict[str, list[dict[str, Any]]]:
    """Return what every network of the pipeline is given for the frames, by network name."""
    runtime = RuntimeConfig(threads=config.runtime.threads, model_dir=model_dir)
    models = {name: Recorder(load_model(name, runtime)) for name in networks(config)}
    stages = _Stages(config, models)
    for frame in frames:
        features = stages.encode(frame)
        prompts = stages.prompt(features)
        stages.rescore(features, prompts, stages.decode(features, prompts))
    return {name: model.inputs for name, model in models.items()}
