"""The way of one batch of frames across the device: buffers that stay in place, a stream, recordings, a clock.

A lane holds one batch at a time. ``begin`` hands everything up to the election to the device and returns at once;
``finish`` waits for the small table of chosen masks, has as many painted as were chosen, and fetches the label images.
Two lanes therefore overlap: what one does on the host or downloads, the other does not wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import nn

from ..errors import FrameError
from ..selection.describe import describe
from ..types import Frame, Grid, Instances, Plane, Prompts
from .clock import StageClock
from .components import ROUNDS
from .paint import GROUP, DevicePainter
from .recording import Recorder
from .select import DeviceElector, Election, Tally, is_settled, read_tally, tally_rows
from .types import DeviceFeatures, DeviceFrame, DeviceMaskSet, DevicePrompts


@dataclass(frozen=True)
class LaneShape:
    """All that a lane's buffers depend on: cameras, (H, W) of their pictures, whether there is depth."""

    cameras: int
    native_hw: tuple[int, int]
    with_depth: bool


@dataclass(frozen=True)
class Stages:
    """The device stages for pictures of one size, on their device."""

    encode: nn.Module
    prompt: nn.Module
    decode: nn.Module
    rescore: nn.Module
    elect: DeviceElector
    paint: DevicePainter


@dataclass(frozen=True)
class DeviceResult:
    """What the host gets for one frame.

    Attributes:
        instances: with timings; their prompts have no maps, which stay on the device, but the heatmap when asked for.
        grid: native to working mapping.
        plane: the support plane, ``None`` without one; its inlier ratio is not known here (NaN).
    """

    instances: Instances
    grid: Grid
    plane: Plane | None


class Lane:
    """One batch of frames of one shape after the other.

    Args:
        record: replay the steps as CUDA graphs once they have run; on a processor they simply run.

    Attributes:
        frames: those of the batch at hand.
        features, prompts, masks: what the stages made of them, until the next batch.
        recorder: of the steps.
    """

    def __init__(self, stages: Stages, shape: LaneShape, device: torch.device, *, record: bool = True) -> None:
        self._stages, self._shape = stages, shape
        cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if cuda else None
        self._done = torch.cuda.Event() if cuda else None
        self._clock, self.recorder = StageClock(device), Recorder(self._stream, enabled=record)
        sizes = (shape.cameras, *shape.native_hw)
        self._host = _frame_buffers(sizes, shape.with_depth, torch.device("cpu"), pinned=cuda)
        self._frame = _frame_buffers(sizes, shape.with_depth, device, pinned=False)
        self._label_host = torch.empty(sizes, dtype=torch.int16, pin_memory=cuda)
        if self._stream is not None:  # the buffers are being cleared on another
            self._stream.wait_stream(torch.cuda.current_stream(device))
        self._rounds = ROUNDS
        self.frames: tuple[Frame, ...] = ()
        self._begun = 0.0
        self.features: DeviceFeatures
        self.prompts: DevicePrompts
        self.masks: DeviceMaskSet
        self._election: Election
        self._settled: torch.Tensor
        self._rows: torch.Tensor
        self._label: torch.Tensor
        self._flags: torch.Tensor

    @torch.inference_mode()
    def begin(self, frames: Sequence[Frame]) -> None:
        """Upload frames of the lane's shape and start on them."""
        self._begun, self.frames = perf_counter(), tuple(frames)
        _fill(self._host, self.frames)
        with self._on_stream():
            self._clock.start()
            for ours, theirs in zip(_tensors(self._frame), _tensors(self._host)):
                ours.copy_(theirs, non_blocking=True)
            self._clock.mark("upload")
            self._choose()

    @torch.inference_mode()
    def finish(self, *, with_heatmap: bool = False) -> list[DeviceResult]:
        """Wait for what ``begin`` started; one result a frame.

        Args:
            with_heatmap: fetch the prompter's heatmaps, too; otherwise nobody copies them.
        """
        rows = self._fetch(self._rows)
        while not is_settled(rows):
            self._more_rounds()
            with self._on_stream():
                self._choose()
            rows = self._fetch(self._rows)
        tallies = [read_tally(of_camera) for of_camera in rows]
        most = max(len(tally.scores) for tally in tallies)
        labels = np.zeros((self._shape.cameras, *self._shape.native_hw), np.uint16)
        visible = np.zeros((self._shape.cameras, 0), bool)
        if most:
            labels, visible = self._paint(most)
        heatmaps: Sequence[np.ndarray | None] = [None] * self._shape.cameras
        if with_heatmap and self.prompts.heatmap is not None:
            heatmaps = self._fetch(self.prompts.heatmap)
        timings = self._clock.timings_ms()
        timings["total"] = 1000 * (perf_counter() - self._begun)
        return [self._result(*of_camera, timings) for of_camera in zip(self.frames, tallies, labels, visible, heatmaps)]

    def _choose(self) -> None:
        """Run the steps from the uploaded frame to the election."""
        for name, step in (("encoding", self._encode), ("prompting", self._prompt), ("decoding", self._decode),
                           ("rescoring", self._rescore), ("selection", self._elect)):
            self.recorder.run(name, step)
            self._clock.mark(name)

    def _encode(self) -> None:
        self.features = self._stages.encode(self._frame)

    def _prompt(self) -> None:
        self.prompts = self._stages.prompt(self.features)

    def _decode(self) -> None:
        self.masks = self._stages.decode(self.features, self.prompts)

    def _rescore(self) -> None:
        self.masks, self._settled = self._stages.rescore(self.features, self.prompts, self.masks, self._rounds)

    def _elect(self) -> None:
        self._election, settled = self._stages.elect(self.features, self.masks, self._rounds)
        self._rows = tally_rows(self.features, self.prompts, self._election, settled & self._settled)

    def _paint(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return uint16[B, H, W] and bool[B, N] for the first places of the election, N >= most."""
        count = min(-(-most // GROUP) * GROUP, self._election.rank.shape[1])

        def step() -> None:
            label, visible, settled = self._stages.paint(
                *self._election.ballots(count), self._frame.color, self._rounds)
            self._label = label.to(torch.int16)  # the bits of uint16
            self._flags = torch.cat([visible, settled.expand(self._shape.cameras, 1)], dim=1)

        while True:
            with self._on_stream():
                self.recorder.run(("painting", count), step)
                self._clock.mark("selection")
                self._label_host.copy_(self._label, non_blocking=True)
                self._clock.mark("download")
            flags = self._fetch(self._flags)
            if flags[:, -1].all():
                return self._label_host.numpy().view(np.uint16).copy(), flags[:, :-1]
            self._more_rounds()

    def _more_rounds(self) -> None:
        """Let the stages that go by rounds take twice as many, from now on."""
        self._rounds *= 2
        self.recorder.forget()

    def _fetch(self, values: torch.Tensor) -> np.ndarray:
        """Return a small tensor's values when the stream has made them."""
        with self._on_stream():
            copy = values.to("cpu", non_blocking=True) if self._done is not None else values
            if self._done is not None:
                self._done.record()
        if self._done is not None:
            self._done.synchronize()
        return copy.numpy()

    def _result(self, frame: Frame, tally: Tally, label: np.ndarray, visible: np.ndarray, heatmap: np.ndarray | None,
                timings_ms: dict[str, float]) -> DeviceResult:
        depth = frame.depth_m if tally.depth_used else None
        seen = np.flatnonzero(visible[:len(tally.scores)])
        windows = self._stages.paint.native_windows(tally.boxes[seen])
        items = describe(label, windows, tally.scores[seen], depth, frame.intrinsics)
        prompts = Prompts(tally.points_px, tally.point_scores, heatmap=heatmap)
        instances = Instances(label, items, timings_ms, tally.depth_used, prompts)
        return DeviceResult(instances, self._stages.paint.grid, tally.plane)

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def lane_shape(frames: Sequence[Frame]) -> LaneShape:
    """Return the shape of a batch.

    Raises:
        FrameError: no frames, something else than frames, pictures of different sizes.
    """
    for frame in frames:
        if not isinstance(frame, Frame):
            raise FrameError(f"frame: expected a Frame, got {type(frame).__name__}; "
                             "build one: Frame(color, depth_m, intrinsics)")
    sizes = sorted({(frame.height, frame.width) for frame in frames})
    if len(sizes) != 1:
        got = " and ".join(f"{width}x{height}" for height, width in sizes) or "none"
        raise FrameError(f"batch: expected frames of one size, got {got}; give each size a batch of its own")
    return LaneShape(len(frames), sizes[0], any(frame.depth_m is not None for frame in frames))


def _frame_buffers(sizes: tuple[int, int, int], with_depth: bool, device: torch.device, *, pinned: bool) -> DeviceFrame:
    def zeros(*shape: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=device, pin_memory=pinned)

    color = zeros(*sizes, 3, dtype=torch.uint8)
    if not with_depth:
        return DeviceFrame(color)
    return DeviceFrame(color, zeros(*sizes, dtype=torch.float32), zeros(sizes[0], 4, dtype=torch.float32))


def _tensors(frame: DeviceFrame) -> list[torch.Tensor]:
    return [values for values in (frame.color, frame.depth_m, frame.intrinsics) if values is not None]


def _fill(buffers: DeviceFrame, frames: Sequence[Frame]) -> None:
    """Write frames to host buffers; a camera without depth has no reading anywhere."""
    for index, frame in enumerate(frames):
        buffers.color.numpy()[index] = frame.color
        if buffers.depth_m is None:
            continue
        buffers.depth_m.numpy()[index] = 0 if frame.depth_m is None else frame.depth_m
        k = frame.intrinsics
        buffers.intrinsics.numpy()[index] = (1, 1, 0, 0) if k is None else (k.fx, k.fy, k.cx, k.cy)
