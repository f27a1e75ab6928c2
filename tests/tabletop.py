"""A ray-cast table with boxes, exact depth and labels, for tests; and networks made of numpy.

The "networks" are real implementations of the model protocol: they call whatever stands above the
table foreground and answer a prompt with the connected piece it lies on.
"""

from __future__ import annotations

import cv2
import numpy as np

from uois_sam_ros.models.spec import COMPACT_DECODER, COMPACT_ENCODER, COMPACT_HDNET
from uois_sam_ros.types import Frame, Intrinsics

#: Box (x0, y0, x1, y1, height) on the table, metres; x right, y away from the camera.
BOXES = ((-0.20, -0.05, -0.10, 0.05, 0.08), (0.00, -0.10, 0.08, 0.00, 0.12), (0.15, 0.02, 0.25, 0.10, 0.06))


def tabletop(boxes=BOXES, *, height=240, width=320, pitch_deg=50.0, camera_m=(0.0, -0.5, 0.6),
             noise_m=0.0, seed=0):
    """Return (Frame, label uint16[H, W], plane normal and offset in the camera frame)."""
    pitch = np.radians(pitch_deg)
    right = np.array([1.0, 0, 0])
    forward = np.array([0, np.cos(pitch), -np.sin(pitch)])
    down = np.array([0, -np.sin(pitch), -np.cos(pitch)])
    focal = 0.9 * width
    k = Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2)
    x = (np.arange(width) - k.cx) / k.fx
    y = (np.arange(height) - k.cy) / k.fy
    rays = x[None, :, None] * right + y[:, None, None] * down + forward
    origin = np.asarray(camera_m)
    depth = -origin[2] / rays[..., 2]  # the table z = 0; rays have unit optical component
    label = np.zeros((height, width), np.uint16)
    for number, (x0, y0, x1, y1, top) in enumerate(boxes, start=1):
        with np.errstate(divide="ignore", invalid="ignore"):
            near = (np.array([x0, y0, 0.0]) - origin) / rays
            far = (np.array([x1, y1, top]) - origin) / rays
        enter = np.minimum(near, far).max(axis=-1)
        leave = np.maximum(near, far).min(axis=-1)
        hit = (enter < leave) & (enter < depth) & (enter > 0)
        depth = np.where(hit, enter, depth)
        label[hit] = number
    rng = np.random.default_rng(seed)
    if noise_m:
        depth = depth + rng.normal(0, noise_m, depth.shape)
    palette = rng.integers(40, 255, (len(boxes) + 1, 3)).astype(np.uint8)
    normal = np.array([0, -np.cos(pitch), -np.sin(pitch)])
    frame = Frame(palette[label], depth.astype(np.float32), k, name="tabletop")
    return frame, label, (normal, float(origin[2]))


class HeightEncoder:
    """Foreground is what the height channel shows above the table; hearts of pieces are hot."""

    spec = COMPACT_ENCODER
    metadata: dict = {}

    def run(self, inputs):
        height = inputs["image"][0, 10]
        foreground = cv2.resize((height > 0.05).astype(np.float32), None, fx=0.5, fy=0.5,
                                interpolation=cv2.INTER_AREA)
        heart = cv2.distanceTransform((foreground > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        h, w = foreground.shape
        return {"pixel": np.zeros((1, 4, h, w), np.float32),
                "middle": np.zeros((1, 4, h // 2, w // 2), np.float32),
                "context": np.zeros((1, 4, h // 8, w // 8), np.float32),
                "foreground": foreground[None, None],
                "heatmap": np.clip(heart / max(1e-6, float(heart.max())), 0, 1)[None, None]}


class PieceDecoder:
    """Hypotheses of a prompt: the core of its piece, the piece, everything."""

    spec = COMPACT_DECODER
    metadata: dict = {}

    def __init__(self):
        self.batches = []

    def run(self, inputs):
        points, foreground = inputs["points"], inputs["foreground"][0, 0]
        self.batches.append(len(points))
        h, w = 2 * foreground.shape[0], 2 * foreground.shape[1]
        smooth = cv2.resize(foreground, (w, h), interpolation=cv2.INTER_LINEAR)
        _, piece = cv2.connectedComponents((smooth > 0.5).astype(np.uint8))
        masks = np.full((len(points), 3, h, w), -4, np.float32)
        for k, (x, y) in enumerate(points):
            number = piece[int(round(float(y))), int(round(float(x)))]
            own = (piece == number).astype(np.uint8) if number else np.zeros_like(piece, np.uint8)
            masks[k, 0][cv2.erode(own, np.ones((7, 7), np.uint8)) > 0] = 4
            masks[k, 1] = np.where(own > 0, (smooth - 0.5) * 8, -4)
            masks[k, 2][smooth > 0.5] = 4
        n = len(points)
        return {"low_res_masks": masks, "iou_predictions": np.tile(np.float32([0.5, 0.9, 0.6]), (n, 1)),
                "mask_tokens": np.zeros((n, 3, 8), np.float32), "iou_token": np.zeros((n, 8), np.float32)}


class KeepScores:
    """A rescorer that agrees with the decoder."""

    spec = COMPACT_HDNET
    metadata: dict = {}

    def run(self, inputs):
        assert set(inputs) == set(self.spec.input_names)
        return {"scores": inputs["iou_predictions"].copy()}


def numpy_networks():
    """Return the three networks by name."""
    return {model.spec.name: model for model in (HeightEncoder(), PieceDecoder(), KeepScores())}


def best_iou(label, truth, number):
    """Return the best IoU of any instance in ``label`` with object ``number`` of ``truth``."""
    target = truth == number
    ids = np.unique(label[target])
    ious = [((label == i) & target).sum() / ((label == i) | target).sum() for i in ids if i]
    return max(ious, default=0.0)
