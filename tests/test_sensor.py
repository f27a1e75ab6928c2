"""The simulated depth sensors: what each effect does, and that it is repeatable."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="rendered pictures need scipy: the synth extra")

from uois_sam_ros.errors import ConfigError
from uois_sam_ros.synthetic.model import MATERIALS, Camera, Render
from uois_sam_ros.synthetic.render import GlassRender
from uois_sam_ros.synthetic.sensor import HOLDOUT_SENSOR, SENSORS, _projector_shadow, simulate

WIDTH, HEIGHT = 160, 120
CAMERA = Camera(WIDTH, HEIGHT, (150.0, 150.0, 79.5, 59.5), np.eye(4))
BLOCK = (slice(40, 80), slice(60, 100))


def block_render(material: str = "matte", behind: bool = False) -> Render:
    """A wall at 1 m, a block at 0.6 m before it."""
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    depth[BLOCK] = 0.6
    label = np.zeros((HEIGHT, WIDTH), np.uint16)
    label[BLOCK] = 1
    kind = np.zeros((HEIGHT, WIDTH), np.uint8)
    kind[BLOCK] = MATERIALS.index(material)
    normal = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    normal[..., 2] = -1
    color = np.full((HEIGHT, WIDTH, 3), 160, np.uint8)
    fields = {"color": color, "depth": depth, "label": label, "part": label, "normal": normal, "material": kind,
              "amodal": (label == 1)[None]}
    return GlassRender(**fields, behind=np.ones_like(depth)) if behind else Render(**fields)


@pytest.mark.parametrize("sensor", [*SENSORS, HOLDOUT_SENSOR])
def test_readings_are_near_the_truth(sensor):
    measured = simulate(block_render(), CAMERA, np.random.default_rng(3), sensor)
    assert measured.shape == (HEIGHT, WIDTH) and measured.dtype == np.float32
    assert (measured >= 0).all() and np.isfinite(measured).all()
    inside = measured[50:70, 70:90]
    assert (inside > 0).mean() > 0.8
    assert abs(np.median(inside[inside > 0]) - 0.6) < 0.02


def test_the_same_generator_gives_the_same_reading():
    first, again, other = (simulate(block_render(), CAMERA, np.random.default_rng(seed), "active_stereo")
                           for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shadow_lies_on_one_side_and_is_as_wide_as_the_disparity_step():
    depth = block_render().depth
    focal_baseline = 150.0 * 0.08
    shadow = _projector_shadow(depth, focal_baseline, 1.0, False)
    row = shadow[60]
    step = focal_baseline * (1 / 0.6 - 1 / 1.0)  # 8 pixels
    assert row[100:100 + int(step) - 1].all()
    assert not row[:100].any() and not row[100 + int(step) + 1:].any()
    shifted = np.roll(depth, 7, 1)  # the block no longer stands in the middle
    mirrored = _projector_shadow(shifted[:, ::-1], focal_baseline, 1.0, True)
    assert np.array_equal(mirrored, np.roll(shadow, 7, 1)[:, ::-1])


def test_disparity_is_quantised_and_range_is_not():
    values = np.unique(simulate(block_render(), CAMERA, np.random.default_rng(1), "structured_light"))
    ranges = np.unique(simulate(block_render(), CAMERA, np.random.default_rng(1), "tof"))
    assert len(values) < 1000 < len(ranges)


@pytest.mark.parametrize("material", ["metal", "glass"])
def test_metal_and_glass_lose_readings(material):
    def lost(kind):
        runs = [simulate(block_render(kind), CAMERA, np.random.default_rng(seed), "active_stereo")
                for seed in range(8)]
        return np.mean([(run[46:74, 66:94] == 0).mean() for run in runs])

    assert lost(material) > lost("matte") + 0.15


def test_glass_can_be_looked_through():
    seen = np.concatenate([
        simulate(block_render("glass", behind=True), CAMERA, np.random.default_rng(seed), "tof")[50:70, 70:90].ravel()
        for seed in range(8)])
    assert (np.abs(seen - 1.0) < 0.03).mean() > 0.2
    matte = simulate(block_render("matte", behind=True), CAMERA, np.random.default_rng(0), "tof")[50:70, 70:90]
    assert not (np.abs(matte - 1.0) < 0.03).any()


def test_grazing_surfaces_drop_out():
    render = block_render()
    render.normal[BLOCK] = (0.9999, 0, -0.014)
    measured = simulate(render, CAMERA, np.random.default_rng(2), "tof")
    assert (measured[50:70, 70:90] == 0).mean() > 0.8


def test_clean_is_exact_and_a_copy():
    render = block_render()
    measured = simulate(render, CAMERA, np.random.default_rng(0), "clean")
    assert np.array_equal(measured, render.depth)
    measured[:] = 0
    assert render.depth.min() > 0


def test_unknown_sensor_is_refused():
    with pytest.raises(ConfigError, match="structured_light.*got 'sonar'"):
        simulate(block_render(), CAMERA, np.random.default_rng(0), "sonar")


def test_holdout_sensor_is_not_a_training_sensor():
    assert HOLDOUT_SENSOR not in SENSORS
