"""Frames for the device stages, and ONNX Runtime for their exported graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tabletop import tabletop

from uois_sam_ros.device.export import export_stage
from uois_sam_ros.device.types import DeviceFrame
from uois_sam_ros.replay.sources import open_input
from uois_sam_ros.types import Frame, Intrinsics

RECORDING = Path(__file__).parents[1] / "uois_sam_ros" / "demo" / "tabletop.mcap"
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
DEVICES = ("cpu", pytest.param("cuda", marks=NO_GPU))


def upload(frames: list[Frame], device: str = "cpu") -> DeviceFrame:
    """Return the frames of several cameras as tensors."""
    stack = lambda arrays: torch.from_numpy(np.stack(arrays)).to(device)  # noqa: E731
    color = stack([frame.color for frame in frames])
    if frames[0].depth_m is None:
        return DeviceFrame(color)
    k = [(frame.intrinsics.fx, frame.intrinsics.fy, frame.intrinsics.cx, frame.intrinsics.cy) for frame in frames]
    return DeviceFrame(color, stack([frame.depth_m for frame in frames]), torch.tensor(k, device=device))


def made_up(name: str, *, height: int = 120, width: int = 160, seed: int = 0) -> Frame:
    """Return a frame of a tabletop whose depth has the trouble that ``name`` names."""
    frame, _, _ = tabletop(height=height, width=width, noise_m=0.001, seed=seed)
    depth, rng = frame.depth_m.copy(), np.random.default_rng(seed)
    color = np.clip(frame.color + rng.integers(-30, 30, frame.color.shape), 0, 255).astype(np.uint8)
    if name == "no depth":
        return Frame(color)
    if name == "holes":
        depth[height // 4:height // 2, width // 3:width // 2] = 0
        depth[:, -width // 10:] = 0
    elif name == "broken":
        depth[rng.random(depth.shape) < 0.2] = np.nan
        depth[rng.random(depth.shape) < 0.1] = np.inf
        depth[rng.random(depth.shape) < 0.1] = -1
    elif name == "too few":
        depth[3:] = 0
    elif name == "no plane":
        depth = rng.uniform(0.3, 3, depth.shape).astype(np.float32)
    return Frame(color, depth, Intrinsics(0.9 * width, 0.9 * width, (width - 1) / 2, (height - 1) / 2), name=name)


def recorded(count: int) -> list[Frame]:
    """Return frames of the bundled recording, evenly spaced."""
    frames = [sample.frame for sample in open_input(str(RECORDING))]
    return frames[::max(1, len(frames) // count)][:count]


def run_exported(name: str, module: torch.nn.Module, inputs: dict[str, torch.Tensor], outputs: tuple[str, ...],
                 folder: Path) -> dict[str, np.ndarray]:
    """Export a stage, check the file's operator set and return what ONNX Runtime makes of the inputs."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript", reason="export needs the train extra")
    path = export_stage(name, module, inputs, outputs, folder)
    assert {entry.domain: entry.version for entry in onnx.load(path).opset_import} == {"": 18}
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(list(outputs), {key: value.numpy() for key, value in inputs.items()})))
