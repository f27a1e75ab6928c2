"""Input kinds: what SAM and DINOv2 are fed, and where their maps lie on the working grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uois_sam_ros.config import EncodingConfig
from uois_sam_ros.encoding.kinds import INPUT_KINDS, longest_side_hw
from uois_sam_ros.encoding.resample import resize_antialiased
from uois_sam_ros.encoding.transform import working_grid
from uois_sam_ros.errors import ConfigError, FrameError
from uois_sam_ros.models.spec import model_spec
from uois_sam_ros.prompting.maps import cells_to_points
from uois_sam_ros.prompting.peaks import find_peaks
from uois_sam_ros.types import Frame

SAM_GRID = EncodingConfig(short_side=256, long_side=256, multiple=4)
CAMERAS = [(480, 640), (720, 1280), (640, 480), (480, 848), (427, 640), (120, 160), (1096, 852)]


def picture(hw, seed=0) -> Frame:
    return Frame(np.random.default_rng(seed).integers(0, 256, (*hw, 3)).astype(np.uint8))


@pytest.mark.parametrize(("old", "new"), [
    ((48, 64), (77, 102)), ((72, 128), (58, 102)), ((48, 64), (34, 45)), ((108, 192), (34, 45)), ((10, 10), (10, 3)),
    ((10, 10), (10, 10)), ((7, 300), (90, 20))])
def test_resizing_equals_pillow(old, new):
    image = pytest.importorskip("PIL.Image", reason="the reference is Pillow")
    color = picture((max(16, old[0]), max(16, old[1]))).color[:old[0], :old[1]]
    expected = np.array(image.fromarray(color).resize(new[::-1], image.BILINEAR))
    np.testing.assert_array_equal(resize_antialiased(color, new), expected)


def test_resizing_white_stays_white():
    assert (resize_antialiased(np.full((33, 47, 3), 255, np.uint8), (100, 19)) == 255).all()


@pytest.mark.parametrize(("native", "expected"), [
    ((480, 640), (768, 1024)), ((720, 1280), (576, 1024)), ((640, 480), (1024, 768)), ((427, 640), (683, 1024)),
    ((1024, 1024), (1024, 1024)), ((120, 160), (768, 1024))])
def test_longest_side(native, expected):
    assert longest_side_hw(native, 1024) == expected


@pytest.mark.parametrize("native", CAMERAS)
def test_sam_image(native):
    frame = picture(native)
    grid = working_grid(native, SAM_GRID)
    image = INPUT_KINDS["sam"].build(frame, grid, None, None)
    height, width = longest_side_hw(native, 1024)
    assert image.shape == (1, 3, 1024, 1024) and image.dtype == np.float32
    assert not image[..., height:, :].any() and not image[..., width:].any()
    inside = image[0, :, :height, :width].transpose(1, 2, 0) * [58.395, 57.12, 57.375] + [123.675, 116.28, 103.53]
    np.testing.assert_allclose(inside, resize_antialiased(frame.color, (height, width)), atol=1e-3)


@pytest.mark.parametrize("native", CAMERAS)
def test_the_grid_is_a_quarter_of_sams_picture(native):
    """Up to rounding to whole mask pixels."""
    grid = working_grid(native, SAM_GRID)
    assert max(grid.padded_hw) == max(grid.resized_hw) == 256
    quarter = np.asarray(longest_side_hw(native, 1024)) / 4
    assert np.abs(quarter - grid.resized_hw).max() <= 0.5
    if native != (427, 640):
        np.testing.assert_array_equal(quarter, grid.resized_hw)


def test_sam_maps_are_cut():
    values = np.arange(64 * 64, dtype=np.float32).reshape(1, 1, 64, 64)
    place = INPUT_KINDS["sam"].place
    np.testing.assert_array_equal(place(values, working_grid((480, 640), SAM_GRID)), values[..., :48, :])
    np.testing.assert_array_equal(place(values, working_grid((640, 480), SAM_GRID)), values[..., :48])
    grid = working_grid((427, 640), SAM_GRID)
    assert grid.padded_hw == (172, 256)
    assert place(values, grid).shape == (1, 1, 43, 64)


def test_sam_without_padding():
    """The upper part of the padded input; a picture that does not fit is refused."""
    for native in ((480, 640), (720, 1280)):
        frame, grid = picture(native), working_grid(native, SAM_GRID)
        image = INPUT_KINDS["sam_4x3"].build(frame, grid, None, None)
        assert image.shape == (1, 3, 768, 1024)
        np.testing.assert_array_equal(image, INPUT_KINDS["sam"].build(frame, grid, None, None)[:, :, :768])
    values = np.arange(48 * 64, dtype=np.float32).reshape(1, 1, 48, 64)
    np.testing.assert_array_equal(INPUT_KINDS["sam_4x3"].place(values, grid), values[..., :36, :])
    with pytest.raises(FrameError, match="at most 3/4 as high as it is wide, because SAM was cut to that, got 480x640"):
        INPUT_KINDS["sam_4x3"].build(picture((640, 480)), working_grid((640, 480), SAM_GRID), None, None)


@pytest.mark.parametrize("changes", [{"short_side": 240}, {"short_side": 320, "long_side": 320}])
def test_another_grid_than_sams_is_refused(changes):
    with pytest.raises(ConfigError, match="expected 256 for both, because sam_vit_l_encoder draws masks of 256x256"):
        INPUT_KINDS["sam"].check(model_spec("sam_vit_l_encoder"), replace(SAM_GRID, **changes))


def test_dinov2_image():
    frame = picture((480, 640))
    image = INPUT_KINDS["dinov2"].build(frame, working_grid((480, 640), SAM_GRID), None, None)
    assert image.shape == (1, 3, 336, 448) and image.dtype == np.float32 and image.flags.c_contiguous
    back = (image[0].transpose(1, 2, 0) * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]) * 255
    np.testing.assert_allclose(back, resize_antialiased(frame.color, (336, 448)), atol=1e-3)


@pytest.mark.parametrize("native", CAMERAS)
def test_a_peak_lands_where_the_picture_has_it(native):
    """A bump drawn at a place of the picture is found there again, whatever the grid and its padding."""
    grid = working_grid(native, SAM_GRID)
    x, y = 0.7 * native[1], 0.2 * native[0]
    for kind, hw, cover in (("dinov2", (336, 448), native), ("sam", (256, 256), None)):
        scale = np.asarray([256, 256]) / max(native) if cover is None else np.asarray(hw) / native
        rows, cols = np.mgrid[:hw[0], :hw[1]]
        distance = np.hypot((cols + 0.5) / scale[1] - 0.5 - x, (rows + 0.5) / scale[0] - 0.5 - y)
        bump = np.exp(-0.5 * (distance / (0.02 * max(native))) ** 2).astype(np.float32)
        heatmap = INPUT_KINDS[kind].place(bump[None, None], grid)[0, 0]
        cells, _ = find_peaks(grid.unpadded(heatmap), window=3, threshold=0.5)
        point = grid.to_native(cells_to_points(cells, grid.cell_size(heatmap), grid))
        assert len(point) == 1
        assert np.abs(point[0] - [x, y]).max() < 1.0 * max(native) / 256, kind
