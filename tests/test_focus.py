"""The first look: which part of a picture the working grid shows, and that results lie where they belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import TINY_ENCODER
from tabletop import BOXES, best_iou, numpy_networks, tabletop

from uois_sam_ros import Segmenter
from uois_sam_ros.config import EncodingConfig, preset, update
from uois_sam_ros.encoding.encode import Encoder
from uois_sam_ros.encoding.focus import find_region
from uois_sam_ros.encoding.transform import working_grid
from uois_sam_ros.errors import ConfigError, FrameError
from uois_sam_ros.models.spec import TensorSpec
from uois_sam_ros.replay.stage_metrics import score_prompts, score_selection
from uois_sam_ros.ros.region import crop, uncrop
from uois_sam_ros.ros.result import heatmap_on_image
from uois_sam_ros.types import Frame, Grid, Intrinsics, Prompts

CONFIG = EncodingConfig(focus_side=96, focus_margin=0.0, focus_least=0.25)
PICTURE = (480, 640)
#: A foreground map of half the coarse grid, 96x128.
CELLS = (48, 64)


def look(*boxes, config=CONFIG, picture=PICTURE, cells=CELLS):
    """The region for objects that fill xyxy boxes of cells."""
    foreground = np.full(cells, 0.49, np.float32)
    for x0, y0, x1, y1 in boxes:
        foreground[y0:y1, x0:x1] = 0.51
    return find_region(foreground, working_grid(picture, config, short_side=96), config)


def test_the_region_holds_the_objects_in_the_form_of_the_picture():
    # rows 12 to 36 of 48 are half the height; columns 24 to 40 of 64 have their middle at 1/2
    assert look((24, 12, 40, 36)) == (160, 120, 480, 360)
    # the wider side decides, boxes apart count together, and the region stays inside the picture
    assert look((0, 40, 4, 48), (28, 44, 32, 46)) == (0, 240, 320, 480)


def test_the_region_is_rounded_up_to_steps():
    for rows, steps in ((20, 10), (21, 11), (22, 11), (23, 12)):  # of 48 rows, two a step
        x0, y0, x1, y1 = look((20, 10, 41, 10 + rows))
        assert (x1 - x0, y1 - y0) == (round(640 * steps / 24), round(480 * steps / 24))
    assert look((20, 10, 41, 31)) == look((20, 10, 40, 31), (40, 10, 41, 30)) == look((21, 10, 41, 32))


def test_room_around_the_objects():
    x0, y0, x1, y1 = look((16, 12, 48, 36), config=replace(CONFIG, focus_margin=0.04))
    assert (x1 - x0) / 640 == pytest.approx(14 / 24, abs=1e-3) == (y1 - y0) / 480
    assert x0 <= 160 and x1 >= 480 and y0 <= 120 and y1 >= 360


def test_single_objects_are_not_blown_up():
    x0, y0, x1, y1 = look((30, 20, 34, 24), config=replace(CONFIG, focus_least=0.5))
    assert (x1 - x0, y1 - y0) == (320, 240)
    assert x0 <= 300 and x1 >= 340


def test_the_whole_picture():
    assert look() is None
    assert look((0, 0, 64, 48)) is None
    assert look((0, 0, 63, 2)) is None
    assert look((0, 0, 60, 2)) is not None


def test_stray_cells_do_not_count():
    foreground = np.zeros((240, 320), np.float32)
    foreground[60:180, 80:240] = 1
    grid = working_grid(PICTURE, CONFIG, short_side=480)
    alone = find_region(foreground, grid, CONFIG)
    foreground[239, 319] = 1
    assert find_region(foreground, grid, CONFIG) == alone == (160, 120, 480, 360)


def test_padding_is_no_part_of_the_picture():
    config = replace(CONFIG, multiple=32)
    grid = working_grid((270, 480), config, short_side=96)
    assert grid.resized_hw == (96, 171) and grid.padded_hw == (96, 192)
    foreground = np.zeros((48, 96), np.float32)
    foreground[:, 90:] = 1
    assert find_region(foreground, grid, config) is None


def grid_of_part() -> Grid:
    return working_grid(PICTURE, EncodingConfig(), region=(160, 120, 480, 360))


def test_a_grid_that_shows_a_part():
    grid = grid_of_part()
    assert grid.padded_hw == (240, 320) and grid.scale_xy == (1.0, 1.0)
    assert grid.window == (160, 120, 480, 360) and grid.of_region.native_hw == (240, 320)
    assert grid.image_area == 480 * 640
    points = np.float32([[0, 0], [160, 120], [479, 359]])
    np.testing.assert_allclose(grid.to_working(points), [[-160, -120], [0, 0], [319, 239]])
    np.testing.assert_allclose(grid.to_native(grid.to_working(points[1:])), points[1:])
    whole = Grid(PICTURE, (240, 320), (240, 320))
    assert whole.window == (0, 0, 640, 480) and whole.image_area == 240 * 320


@pytest.mark.parametrize("steps", range(6, 24))
def test_every_part_has_the_grid_of_the_whole(steps):
    for height, width in ((240, 320), (480, 640), (480, 848), (720, 1280)):
        part = (3, 5, 3 + round(width * steps / 24), 5 + round(height * steps / 24))
        grid = working_grid((height, width), EncodingConfig(), region=part)
        assert grid.padded_hw == working_grid((height, width), EncodingConfig()).padded_hw
        assert grid.scale_xy[0] == pytest.approx(grid.scale_xy[1], rel=0.02)


def test_a_part_keeps_the_geometry():
    """The ray through a native pixel is the ray through its working pixel."""
    native, grid = Intrinsics(600, 610, 315, 243), working_grid(PICTURE, EncodingConfig(), region=(100, 60, 420, 300))
    k = grid.intrinsics(native)
    x, y = grid.to_working(np.float32([[207.3, 111.8]]))[0]
    assert (x - k.cx) / k.fx == pytest.approx((207.3 - 315) / 600, abs=1e-5)
    assert (y - k.cy) / k.fy == pytest.approx((111.8 - 243) / 610, abs=1e-5)


def test_cut_and_uncut():
    grid, image = grid_of_part(), np.arange(480 * 640).reshape(480, 640)
    part = grid.cut(image)
    assert part.shape == (240, 320) and part[0, 0] == image[120, 160]
    back = grid.uncut(part)
    assert (back[120:360, 160:480] == part).all() and back.sum() == part.sum()
    whole = Grid(PICTURE, (240, 320), (240, 320))
    assert whole.uncut(image) is image


class Spotter:
    """An encoder that sees objects where the picture is bright."""

    metadata: dict = {}
    spec = replace(TINY_ENCODER, outputs=(TensorSpec("foreground", (1, 1, "h/2", "w/2")),))

    def __init__(self):
        self.inputs = []

    def run(self, inputs):
        image = inputs["image"]
        self.inputs.append(image)
        return {"foreground": (image[:, :1, ::2, ::2] > 0).astype(np.float32)}


def bright_spot(depth_m=None) -> Frame:
    color = np.zeros((240, 320, 3), np.uint8)
    color[60:180, 100:220] = 255
    return Frame(color, depth_m, Intrinsics(300, 300, 160, 120))


def test_the_encoder_looks_twice():
    model = Spotter()
    config = EncodingConfig(encoders=("tiny_encoder",), focus_side=96, focus_margin=0.0)
    features = Encoder(config, [model])(bright_spot())
    assert [image.shape[2:] for image in model.inputs] == [(96, 128), (240, 320)]
    x0, y0, x1, y1 = features.grid.region
    assert x0 <= 100 and y0 <= 60 and x1 >= 220 and y1 >= 180 and (x1 - x0) < 200
    seen = features.grid.unpadded(features["foreground"][0, 0])
    assert seen.mean() == pytest.approx(120 * 120 / ((x1 - x0) * (y1 - y0)), rel=0.03)


def test_focus_off_and_networks_without_foreground():
    model = Spotter()
    features = Encoder(EncodingConfig(encoders=("tiny_encoder",), focus="off"), [model])(bright_spot())
    assert len(model.inputs) == 1 and features.grid.region is None
    renamed = EncodingConfig(encoders=("tiny_encoder",), focus_map="elsewhere")
    assert Encoder(renamed, [model])(bright_spot()).grid.region is None
    assert Encoder(EncodingConfig(), ())(bright_spot()).grid.region is None


def test_only_models_up_to_the_foreground_take_the_first_look():
    class Second(Spotter):
        spec = replace(TINY_ENCODER, name="second", outputs=(TensorSpec("more", (1, 1, "h/2", "w/2")),))

        def run(self, inputs):
            return {"more": super().run(inputs)["foreground"]}

    first, second = Spotter(), Second()
    features = Encoder(EncodingConfig(encoders=("tiny_encoder", "second")), [first, second])(bright_spot())
    assert len(first.inputs) == 2 and len(second.inputs) == 1 and set(features.maps) == {"foreground", "more"}


def test_networks_of_one_size_refuse():
    class Sam(Spotter):
        spec = replace(Spotter.spec, input_kind="sam",
                       inputs=(TensorSpec("image", (1, 3, 512, 512)),))

    config = EncodingConfig(encoders=("tiny_encoder",), short_side=128, long_side=128)
    with pytest.raises(ConfigError, match="encoding.focus: expected off, because tiny_encoder does not look at parts"):
        Encoder(config, [Sam()])
    both = replace(config, encoders=("tiny_encoder", "second"))
    second = Sam()
    second.spec = replace(Sam.spec, name="second", outputs=(TensorSpec("more", (1, 1, "h/2", "w/2")),))
    with pytest.raises(ConfigError, match="because second does not look at parts"):
        Encoder(both, [Spotter(), second])
    for name in ("paper", "paper-b", "shared", "paper-tiny"):
        assert preset(name).encoding.focus == "off"


def test_depth_is_required_of_the_picture_not_of_the_part():
    config = EncodingConfig(encoders=("tiny_encoder",), depth="require")
    depth = np.full((240, 320), 0.8, np.float32)
    depth[40:200, 80:240] = 0  # glass: nothing where the objects are
    features = Encoder(config, [Spotter()])(bright_spot(depth))
    assert features.grid.region is not None
    with pytest.raises(FrameError, match="expected depth readings"):
        Encoder(config, [Spotter()])(bright_spot(np.zeros((240, 320), np.float32)))


def far_table(boxes=BOXES):
    """The table from afar: the boxes fill a third of the picture."""
    return tabletop(boxes, height=480, width=640, camera_m=(0.0, -0.9, 1.1))


def test_results_lie_where_they_belong():
    frame, truth, _ = far_table()
    networks = numpy_networks()
    stages = Segmenter(preset("compact"), networks).stages(frame, with_heatmap=True)
    region, result = stages.features.grid.region, stages.instances
    assert region is not None and (region[2] - region[0]) < 0.7 * 640
    assert len(result) == len(BOXES) and min(best_iou(result.label, truth, k) for k in (1, 2, 3)) > 0.8
    for item in result.items:
        rows, cols = np.nonzero(result.label == item.id)
        assert item.box_xyxy == (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
        np.testing.assert_allclose(item.centroid_px, (cols.mean(), rows.mean()), atol=1e-3)
        z = item.centroid_m[2]
        x = (item.centroid_px[0] - frame.intrinsics.cx) / frame.intrinsics.fx * z
        assert item.centroid_m[0] == pytest.approx(x, abs=1e-4)
    off = update(preset("compact"), {"encoding": {"focus": "off"}})
    by_hand = uncrop(Segmenter(off, networks).segment(crop(frame, region)), region, PICTURE)
    assert (by_hand.label == result.label).all()
    heat = heatmap_on_image(stages)
    assert heat.shape == PICTURE and heat[truth > 0].max() > 0.9
    outside = np.ones(PICTURE, bool)
    outside[region[1]:region[3], region[0]:region[2]] = False
    assert heat[outside].max() == 0


def test_stage_metrics_look_at_the_same_part():
    frame, truth, _ = far_table()
    stages = Segmenter(preset("compact"), numpy_networks()).stages(frame)
    grid = stages.features.grid
    assert grid.region is not None
    assert score_selection(stages.mask_set, grid, truth).oracle > 0.85
    ignored = score_selection(stages.mask_set, grid, truth, truth == 1)
    assert ignored.oracle > 0.85 and ignored.prompts < len(stages.prompts)
    points = score_prompts(stages.prompts, grid, truth)
    assert points.recall == 1 and points.precision > 0.9


def test_area_limits_are_shares_of_the_picture():
    frame, truth, _ = far_table(((-0.2, -0.05, -0.1, 0.05, 0.08), (0.05, -0.1, 0.25, 0.06, 0.12)))
    small, large = ((truth == k).mean() for k in (1, 2))
    assert large < 0.05 and large > 2 * small
    for most, count in ((1.1 * large, 2), (0.5 * (small + large), 1)):
        limited = update(preset("compact"), {"selection": {"max_area": most}})
        assert len(Segmenter(limited, numpy_networks()).segment(frame)) == count


def test_given_prompts_may_lie_anywhere():
    frame, _, _ = far_table()
    seen = []

    def prompter(features):
        seen.append(features.grid.region)
        return Prompts(features.grid.to_working(np.float32([[5, 5]])), np.ones(1, np.float32))

    Segmenter(preset("compact"), numpy_networks(), prompter=prompter).segment(frame)
    assert seen == [None]
