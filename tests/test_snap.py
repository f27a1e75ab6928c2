"""Edge snapping: masks move to the colour edge, and nothing is lost where there is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uois_sam_ros.selection.candidates import best_hypotheses
from uois_sam_ros.selection.paint import paint, snapped
from uois_sam_ros.selection.snap import GUIDE_SIGMA, EdgeSnapper
from uois_sam_ros.types import Grid, MaskSet

SHAPE = (90, 121)  # odd, so that the half-resolution coefficients do not divide evenly


def _picture(edge: int) -> np.ndarray:
    color = np.full((*SHAPE, 3), (60, 70, 80), np.uint8)
    color[:, edge:] = (170, 90, 60)
    return color


def _logits(edge: int) -> np.ndarray:
    x = np.arange(SHAPE[1], dtype=np.float32)
    return np.broadcast_to(np.clip((x - edge + 0.5) * 0.5, -3, 3), SHAPE).astype(np.float32)


@pytest.mark.parametrize("believed", [55, 58, 60, 62, 65])
def test_edges_within_the_radius_move_to_the_colour_edge(believed):
    snapper = EdgeSnapper(_picture(60), 10, 3e-4)
    moved = snapper.snap(_logits(believed), (0, 0, SHAPE[1], SHAPE[0])) > 0
    found = moved.argmax(axis=1)
    assert np.abs(found - 60).max() <= 1


def test_a_plain_picture_leaves_a_straight_edge_alone():
    snapper = EdgeSnapper(np.full((*SHAPE, 3), 128, np.uint8), 10, 3e-4)
    moved = snapper.snap(_logits(50), (0, 0, SHAPE[1], SHAPE[0])) > 0
    assert np.abs(moved.argmax(axis=1) - 50).max() <= 1


@pytest.mark.parametrize("window", [(31, 7, 98, 64), (0, 0, 121, 90), (60, 89, 61, 90), (119, 0, 121, 90)])
def test_any_window_gives_its_own_shape(window):
    x0, y0, x1, y1 = window
    snapper = EdgeSnapper(_picture(60), 6, 3e-4)
    moved = snapper.snap(_logits(58)[y0:y1, x0:x1], window)
    assert moved.shape == (y1 - y0, x1 - x0) and np.isfinite(moved).all()


def test_windows_agree_with_the_whole_picture():
    snapper = EdgeSnapper(_picture(60), 6, 3e-4)
    whole = snapper.snap(_logits(57), (0, 0, SHAPE[1], SHAPE[0]))
    window = (20, 10, 100, 70)
    part = snapper.snap(_logits(57)[10:70, 20:100], window)
    inner = (slice(14, -14), slice(14, -14))
    assert np.allclose(part[inner], whole[10:70, 20:100][inner], atol=0.05)


@pytest.mark.parametrize("region, window", [
    ((40, 30, 90, 66), (40, 30, 90, 66)),
    ((33, 21, 121, 90), (51, 41, 121, 90)),  # at the picture's far corner
    ((0, 0, 64, 50), (0, 0, 50, 50)),
])
@pytest.mark.parametrize("radius", [3, 8, 13])
def test_a_region_changes_nothing(region, window, radius):
    noise = np.random.default_rng(0).integers(0, 60, (*SHAPE, 3))
    color = (_picture(60) + noise).astype(np.uint8)
    x0, y0, x1, y1 = window
    logits = _logits(57)[y0:y1, x0:x1]
    whole = EdgeSnapper(color, radius, 3e-4).snap(logits, window)
    assert np.allclose(EdgeSnapper(color, radius, 3e-4, region).snap(logits, window), whole, atol=1e-3)


def test_the_filter_is_that_of_the_formula():
    """One pixel's coefficients by least squares over its window, averaged over the windows that hold the pixel."""
    radius, epsilon, logits = 2, 3e-4, _logits(57)
    color = (_picture(60) + np.random.default_rng(1).integers(0, 60, (*SHAPE, 3))).astype(np.uint8)
    guide = cv2.GaussianBlur(color, (0, 0), GUIDE_SIGMA).astype(np.float64) / 255

    def model(x, y):
        window = (slice(y - radius, y + radius + 1), slice(x - radius, x + radius + 1))
        colors, values = guide[window].reshape(-1, 3), logits[window].ravel().astype(np.float64)
        spread = colors - colors.mean(axis=0)
        slope = np.linalg.solve(spread.T @ spread / len(values) + epsilon * np.eye(3),
                                spread.T @ (values - values.mean()) / len(values))
        return np.append(slope, values.mean() - slope @ colors.mean(axis=0))

    filtered = EdgeSnapper(color, radius, epsilon).snap(logits, (0, 0, SHAPE[1], SHAPE[0]))
    for x, y in ((57, 40), (60, 41), (58, 20)):
        mean = np.mean([model(x + dx, y + dy) for dx in range(-radius, radius + 1)
                        for dy in range(-radius, radius + 1)], axis=0)
        assert filtered[y, x] == pytest.approx(mean[:3] @ guide[y, x] + mean[3], abs=2e-3)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_masks_survive(size):
    claim = np.full((30, 30), -4.0, np.float32)
    claim[15:15 + size, 15:15 + size] = 4
    snapper = EdgeSnapper(np.full((30, 30, 3), 90, np.uint8), 8, 3e-4)
    kept = snapped(claim, (0, 0, 30, 30), snapper)
    assert np.array_equal(kept > 0, claim > 0)


@pytest.mark.parametrize("believed", [56, 58, 63])
@pytest.mark.parametrize("scale", [1, 2])
def test_painting_moves_edges_in_and_out_to_the_colour_edge(believed, scale):
    grid = Grid(SHAPE, (SHAPE[0] // scale, SHAPE[1] // scale), (SHAPE[0] // scale, SHAPE[1] // scale))
    rows, columns = grid.resized_hw
    x = (np.arange(columns) + 0.5) * SHAPE[1] / columns - 0.5
    logits = np.full((rows, columns), -4, np.float32)
    logits[rows // 5:-(rows // 5)] = np.clip((believed - 0.5 - x) * 0.6, -4, 4)
    mask_set = MaskSet(logits[None, None], np.ones((1, 1), np.float32), np.zeros((1, 1, 2), np.float32),
                       np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32), np.ones((1, 1), np.float32))
    candidates = best_hypotheses(mask_set, grid, score_threshold=0)
    painting = paint(candidates, grid, EdgeSnapper(_picture(60), 8, 3e-4))
    widths = painting.label[SHAPE[0] // 3:2 * SHAPE[0] // 3].sum(axis=1)
    assert np.abs(widths.astype(int) - 60).max() <= 1
    x0, y0, x1, y1 = painting.windows[0]
    assert (painting.label[y0:y1, x0:x1] == 1).sum() == (painting.label == 1).sum()
