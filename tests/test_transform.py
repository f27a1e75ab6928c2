"""Frame to working grid: sizes, exact alignment, padding and the RGB-D input."""

from __future__ import annotations

import numpy as np
import pytest
from tabletop import tabletop

from uois_sam_ros.config import EncodingConfig
from uois_sam_ros.encoding.transform import (
    RGBD_CHANNELS,
    frame_to_grid,
    resize_color,
    resize_depth,
    rgbd_input,
    working_grid,
)
from uois_sam_ros.geometry import compute_geometry


@pytest.mark.parametrize("native, resized, padded", [
    ((480, 640), (240, 320), (240, 320)),    # the usual camera: exactly half
    ((720, 1280), (240, 427), (240, 432)),   # padded on the right
    ((1080, 1920), (240, 427), (240, 432)),
    ((640, 480), (320, 240), (320, 240)),    # portrait
    ((120, 160), (240, 320), (240, 320)),    # enlarged
    ((200, 1000), (90, 448), (96, 448)),     # the long side bounds
])
def test_working_grid(native, resized, padded):
    grid = working_grid(native, EncodingConfig())
    assert (grid.native_hw, grid.resized_hw, grid.padded_hw) == (native, resized, padded)


@pytest.mark.parametrize("native", [(480, 640), (720, 1280), (120, 160)])
def test_color_lands_where_grid_says(native):
    """A wave, resized, is the wave at the native places that Grid names: no shift of its phase."""
    grid = working_grid(native, EncodingConfig())
    color = np.zeros(native + (3,), np.uint8)
    for channel, axis in ((0, 1), (1, 0)):
        wave = _wave(np.arange(native[axis]), native[axis])
        color[..., channel] = np.rint(wave if axis == 1 else wave[:, None])
    small = resize_color(color, grid).astype(float)
    assert small.shape == grid.padded_hw + (3,)
    height, width = grid.resized_hw
    points = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    for channel, places in enumerate(grid.to_native(points).T):
        side = native[1 - channel]
        error = small[:height, :width, channel].ravel() - _wave(places, side)
        slope = _wave(places + 0.5, side) - _wave(places - 0.5, side)
        assert abs(error @ slope / (slope @ slope)) < 0.05  # native pixels
        assert np.abs(error).max() < 6


def _wave(place, side):
    return 128 + 100 * np.sin(2 * np.pi * 6 * place / side)


def test_depth_is_sampled_not_blended():
    depth = np.where(np.arange(1280)[None, :] < 640, 0.5, 2.0).astype(np.float32).repeat(720, axis=0)
    grid = working_grid((720, 1280), EncodingConfig())
    small = resize_depth(depth, grid)
    assert set(np.unique(small)) == {0.0, 0.5, 2.0}
    assert (small[:, 427:] == 0).all()  # the padding has no reading
    assert small.dtype == np.float32


def test_depth_rows_agree_with_grid():
    depth = np.arange(1, 481, dtype=np.float32)[:, None].repeat(640, axis=1)
    grid = working_grid((480, 640), EncodingConfig())
    rows = resize_depth(depth, grid)[:, 0] - 1
    native = grid.to_native(np.stack([np.zeros(240), np.arange(240)], axis=1))[:, 1]
    assert np.abs(rows - native).max() <= 0.5


def test_depth_holes_become_zero():
    depth = np.full((480, 640), 0.7, np.float32)
    depth[:100], depth[100:200], depth[200:300] = np.nan, np.inf, -np.inf
    small = resize_depth(depth, working_grid((480, 640), EncodingConfig()))
    assert (small[:150] == 0).all() and (small[150:] == np.float32(0.7)).all()


def test_color_padding_repeats_the_border():
    color = np.random.default_rng(0).integers(0, 255, (720, 1280, 3)).astype(np.uint8)
    small = resize_color(color, working_grid((720, 1280), EncodingConfig()))
    np.testing.assert_array_equal(small[:, 427:], np.repeat(small[:, 426:427], 5, axis=1))


def test_rgbd_input_without_depth_is_zero_beyond_colour():
    color = np.full((48, 64, 3), 255, np.uint8)
    color[0] = 0
    channels = rgbd_input(color, None)
    assert channels.shape == (len(RGBD_CHANNELS), 48, 64) and channels.dtype == np.float32
    assert (channels[3:] == 0).all()
    np.testing.assert_allclose(channels[:3, 1:], 2)
    np.testing.assert_allclose(channels[:3, 0], -2)


def test_rgbd_input_channels():
    frame, label, _ = tabletop()
    grid = working_grid((240, 320), EncodingConfig())
    color, depth = frame_to_grid(frame, grid)
    geometry = compute_geometry(depth, frame.intrinsics.scaled(*grid.scale_xy))
    channels = dict(zip(RGBD_CHANNELS, rgbd_input(color, geometry)))
    assert np.median(channels["on_plane"][label == 0]) > 0.9
    assert np.median(channels["on_plane"][label == 2]) < 0.1
    assert np.median(channels["height"][label == 2]) > 0.2
    assert (channels["valid"] == 1).all()
    for name, values in channels.items():
        assert np.isfinite(values).all() and np.abs(values).max() <= 3, name
    assert (channels["normal_z"] <= 0).all()  # towards the camera


def test_rgbd_input_without_a_plane_leaves_the_plane_channels_zero():
    depth = np.random.default_rng(0).uniform(0.3, 3.0, (120, 160)).astype(np.float32)
    frame, _, _ = tabletop()
    geometry = compute_geometry(depth, frame.intrinsics)
    assert geometry.plane is None
    channels = dict(zip(RGBD_CHANNELS, rgbd_input(np.zeros((120, 160, 3), np.uint8), geometry)))
    assert (channels["height"] == 0).all() and (channels["on_plane"] == 0).all()
    assert channels["z"].any()


def test_frame_to_grid_without_depth():
    frame, _, _ = tabletop()
    _, depth = frame_to_grid(frame.without_depth(), working_grid((240, 320), EncodingConfig()))
    assert depth is None
