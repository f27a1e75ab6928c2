"""Frame refusals, intrinsics, the Grid mapping and the result types."""

from __future__ import annotations

import numpy as np
import pytest

from uois_sam_ros.errors import FrameError, UoisError
from uois_sam_ros.types import Features, Frame, Grid, Instances, Intrinsics

K = Intrinsics(60.0, 60.0, 31.5, 23.5)
COLOR = np.zeros((48, 64, 3), np.uint8)
DEPTH = np.full((48, 64), 0.8, np.float32)


@pytest.mark.parametrize("color, words", [
    (COLOR.astype(np.uint16), "uint8.*uint16.*divide by 257"),      # 16 bit
    (COLOR.astype(np.float32), "uint8.*float32.*multiply by 255"),  # float
    (COLOR[..., 0], "convert grey"),                                # grey
    (np.zeros((48, 64, 4), np.uint8), "RGBA"),                      # alpha
    (np.zeros((8, 64, 3), np.uint8), "16x16"),                      # tiny
    ([[0]], "uint8.*list"),                                         # no array
])
def test_color_refused(color, words):
    with pytest.raises(FrameError, match=f"(?s)colour image: .*{words}"):
        Frame(color)


@pytest.mark.parametrize("depth, words", [
    ((DEPTH * 1000).astype(np.uint16), "float32.*uint16.*0.001"),  # raw millimetres
    (DEPTH.astype(np.float64), "float32.*float64"),                # wrong float
    (DEPTH[:24], "64x48.*register depth to colour"),               # other size
    (DEPTH[..., None], "64x48"),                                   # extra axis
    (DEPTH * 1000, "millimetres: multiply by 0.001"),              # mm given as m
    (DEPTH * 0.001, "scale was applied twice"),                    # m given as mm
])
def test_depth_refused(depth, words):
    with pytest.raises(FrameError, match=f"(?s)depth image: .*{words}"):
        Frame(COLOR, depth, K)


def test_a_few_wrong_readings_do_not_decide_the_unit():
    depth = DEPTH.copy()
    depth[:10] = 65.535
    depth[10:12] = np.nan
    Frame(COLOR, depth, K)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -1.0])
def test_depth_without_readings_is_a_frame(value):
    Frame(COLOR, np.full((48, 64), value, np.float32), K)


def test_depth_needs_intrinsics():
    with pytest.raises(FrameError, match="intrinsics.*together with depth"):
        Frame(COLOR, DEPTH)
    frame = Frame(COLOR, DEPTH, K).without_depth()
    assert frame.depth_m is None and (frame.height, frame.width) == (48, 64)


@pytest.mark.parametrize("values", [(0, 60, 1, 1), (60, -1, 1, 1), (60, 60, np.nan, 1), (np.inf, 60, 1, 1)])
def test_intrinsics_refused(values):
    with pytest.raises(UoisError, match="intrinsics: expected finite"):
        Intrinsics(*values)


def test_intrinsics_scale_and_matrix():
    half = Intrinsics(600, 610, 319.5, 239.5).scaled(0.5, 0.5)
    assert half == Intrinsics(300, 305, 159.5, 119.5)  # the centre of the image stays its centre
    assert Intrinsics.from_matrix([600, 0, 320, 0, 610, 240, 0, 0, 1]) == Intrinsics(600, 610, 320, 240)
    guess = Intrinsics.from_fov(640, 480, 90.0)
    assert guess.fx == pytest.approx(320) and (guess.cx, guess.cy) == (319.5, 239.5)


@pytest.mark.parametrize("native, resized, padded", [
    ((480, 640), (240, 320), (240, 320)),
    ((720, 1280), (240, 427), (240, 432)),
    ((100, 90), (267, 240), (272, 240)),
])
def test_grid_round_trip(native, resized, padded):
    grid = Grid(native, resized, padded)
    rng = np.random.default_rng(0)
    points = rng.uniform(0, [native[1] - 1, native[0] - 1], (500, 2)).astype(np.float32)
    np.testing.assert_allclose(grid.to_native(grid.to_working(points)), points, atol=2e-3)


def test_intrinsics_of_another_type():
    with pytest.raises(FrameError, match=r"expected Intrinsics\(fx, fy, cx, cy\), got \(60"):
        Frame(COLOR, DEPTH, (60.0, 60.0, 31.5, 23.5))


def test_grid_keeps_pixel_edges():
    """The image's corner, half a pixel before the first centre, is a corner in both grids."""
    grid = Grid((480, 640), (240, 320), (240, 320))
    np.testing.assert_array_equal(grid.to_working(np.float32([[-0.5, -0.5], [639.5, 479.5]])),
                                  [[-0.5, -0.5], [319.5, 239.5]])
    np.testing.assert_array_equal(grid.to_native(np.float32([[10, 20]])), [[20.5, 40.5]])
    np.testing.assert_array_equal(grid.to_native(np.float32([[-9, 500]])), [[0, 479]])  # clipped


def test_features_are_read_only():
    features = Features(Grid((16, 16), (16, 16), (16, 16)), {"a": np.zeros(1)})
    assert features["a"].shape == (1,)
    with pytest.raises(TypeError):
        features.maps["b"] = np.zeros(1)


def test_instances_masks():
    label = np.uint16([[0, 1, 2], [2, 2, 0]])
    result = Instances(label, items=(None, None))
    assert len(result) == 2
    np.testing.assert_array_equal(result.masks(), [[[0, 1, 0], [0, 0, 0]], [[0, 0, 1], [1, 1, 0]]])
