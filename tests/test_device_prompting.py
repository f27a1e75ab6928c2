"""Prompts on the device, against the numpy stage."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the device frame path needs torch")

from devicerig import DEVICES, run_exported  # noqa: E402

from uois_sam_ros.config import PromptingConfig  # noqa: E402
from uois_sam_ros.device.peaks import best_first, peak_map, thin_by_distance  # noqa: E402
from uois_sam_ros.device.prompting import DevicePrompter, HpgPoints  # noqa: E402
from uois_sam_ros.device.types import DeviceFeatures, DeviceGeometry  # noqa: E402
from uois_sam_ros.errors import ConfigError  # noqa: E402
from uois_sam_ros.prompting import make_prompter  # noqa: E402
from uois_sam_ros.prompting.peaks import find_peaks  # noqa: E402
from uois_sam_ros.prompting.peaks import thin_by_distance as host_thin  # noqa: E402
from uois_sam_ros.types import Features, Geometry, Grid, Plane  # noqa: E402

GRID = Grid((240, 320), (120, 160), (128, 160))  # eight rows of padding


def smooth(seed: int, hw: tuple[int, int], width: int) -> np.ndarray:
    """Return hills float32[a, b] in [0, 1]."""
    noise = torch.from_numpy(np.random.default_rng(seed).random((1, 1, *hw)).astype(np.float32))
    for _ in range(2):
        noise = torch.nn.functional.avg_pool2d(noise, width, 1, width // 2, count_include_pad=False)
    low, high = noise.min(), noise.max()
    return ((noise - low) / (high - low)).numpy()[0, 0]


def maps(seed: int, hw=(64, 80)) -> dict[str, np.ndarray]:
    return {"foreground": smooth(seed, hw, 9), "heatmap": smooth(seed + 100, hw, 3)}


def on_device(cameras: list[dict[str, np.ndarray]], geometry=None, device="cpu", grid=GRID) -> DeviceFeatures:
    stacked = {name: torch.from_numpy(np.stack([camera[name] for camera in cameras]))[:, None] for name in cameras[0]}
    return DeviceFeatures(grid, {name: values.to(device) for name, values in stacked.items()}, geometry)


def on_host(camera: dict[str, np.ndarray], geometry=None, grid=GRID) -> Features:
    return Features(grid, {name: values[None, None] for name, values in camera.items()}, geometry)


def check_same(prompts, k, expected, *, apart_px=1.0, unmatched=0.0):
    """Camera k's prompts are the host's: count, places, scores, and the order up to equal scores."""
    valid = prompts.valid[k].cpu().numpy()
    points, scores = prompts.points_px[k].cpu().numpy(), prompts.scores[k].cpu().numpy()
    count = int(valid.sum())
    assert valid[:count].all() and count == len(expected)
    assert not points[count:].any() and not scores[count:].any()
    if not count:
        return
    assert (np.diff(scores[:count]) <= 0).all()
    apart = np.abs(points[:count, None] - expected.points_px[None]).max(axis=-1)
    for nearest in (apart.min(axis=0), apart.min(axis=1)):
        assert np.mean(nearest > apart_px) <= unmatched
    np.testing.assert_allclose(scores[:count], expected.scores, atol=1e-3)


@pytest.mark.parametrize("window", [3, 5])
def test_peaks_are_the_hosts(window):
    rng = np.random.default_rng(window)
    for _ in range(5):
        values = rng.random((31, 44)).astype(np.float32)
        cells, _ = find_peaks(values, window=window, threshold=0.4)
        found = peak_map(torch.from_numpy(values)[None], window=window, threshold=0.4, plateaus=9)
        rows, cols = np.nonzero(found[0].numpy())
        assert sorted(cells.tolist()) == sorted(np.stack([cols, rows], axis=1).tolist())


@pytest.mark.parametrize(("rows", "expected"), [
    ([[0, .5, .5, .5, 0]], [(2, 0)]),                    # plateau: its centre
    ([[.5, .5], [.5, .5]], [(0, 0)]),                    # of four, the first
    ([[.5, .5, .5, .5, .5, .5, .9]], [(6, 0)]),          # a shelf is no peak
    ([[.5, 0, .5]], [(0, 0), (2, 0)]),                   # equal, not adjacent
    (np.full((9, 9), .7), [(4, 4)]),                     # saturated map
    (np.zeros((5, 5)), []),                              # empty map
])
def test_plateaus(rows, expected):
    found = peak_map(torch.tensor(np.array(rows, np.float32))[None], window=3, threshold=0.1, plateaus=4)[0].nonzero()
    assert [(col, row) for row, col in found.tolist()] == expected


def test_of_too_many_plateaus_the_highest_count():
    """Peaks of one cell are no plateaus and always count."""
    values = torch.tensor([[[.5, .5, .5, 0, .7, .7, .7, 0, .3, 0, .9]]])
    for plateaus, expected in ((1, [5, 8, 10]), (2, [1, 5, 8, 10])):
        found = peak_map(values, window=3, threshold=0.1, plateaus=plateaus)
        assert found[0, 0].nonzero().flatten().tolist() == expected


def test_every_plateau_gives_one_peak():
    steps = np.random.default_rng(0).integers(0, 5, (40, 60)).astype(np.float32) / 5
    cells, scores = find_peaks(steps, window=3, threshold=0.1)
    found = peak_map(torch.from_numpy(steps)[None], window=3, threshold=0.1, plateaus=400)[0].numpy()
    assert found.sum() == len(cells)
    np.testing.assert_array_equal(np.sort(steps[found]), np.sort(scores))


@pytest.mark.parametrize("min_distance", [0.0, 3.0, 12.0])
def test_thinning_is_the_hosts(min_distance):
    points = np.random.default_rng(0).uniform(0, 60, (80, 2)).astype(np.float32)
    kept = thin_by_distance(torch.from_numpy(points)[None], torch.ones(1, 80, dtype=torch.bool), min_distance)
    assert np.flatnonzero(kept[0]).tolist() == host_thin(points, min_distance, limit=80).tolist()


def test_an_invalid_point_drops_nobody():
    points = torch.tensor([[[0., 0], [1, 0], [9, 0]]])
    kept = thin_by_distance(points, torch.tensor([[False, True, True]]), 3.0)
    assert kept.tolist() == [[False, True, True]]


def test_best_first():
    scores, valid = torch.tensor([[.5, .9, .5, .99, .5]]), torch.tensor([[True, True, True, False, True]])
    assert best_first(scores, valid, 4).tolist() == [[1, 0, 2, 4]]  # equal scores in their order


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("changes", [
    {}, {"coverage_points": 0}, {"max_points": 5}, {"min_distance_px": 9.0}, {"peak_window": 5},
    {"foreground_threshold": 0.85, "heatmap_threshold": 0.007, "coverage_points": 0, "max_points": 30,
     "min_distance_px": 0.0},
    {"strategy": "grid"}, {"strategy": "foreground"}, {"foreground_threshold": 1.0},
], ids=str)
def test_prompts_are_the_hosts(changes, device):
    config = PromptingConfig(**changes)
    cameras = [maps(seed) for seed in range(3)]
    prompter = DevicePrompter(config, GRID)
    prompts = prompter(on_device(cameras, device=device))
    for k, camera in enumerate(cameras):
        expected = make_prompter(config)(on_host(camera))
        check_same(prompts, k, expected, apart_px=2.0)  # of equally deep cover cells OpenCV may take a neighbour
        if config.coverage_points == 0:
            check_same(prompts, k, expected)
        if expected.foreground is not None:
            np.testing.assert_allclose(prompts.foreground[k].cpu(), expected.foreground, atol=1e-5)
        if expected.heatmap is not None:
            np.testing.assert_allclose(prompts.heatmap[k].cpu(), expected.heatmap, atol=1e-5)


def test_finer_maps_than_the_grid():
    """As DINOv2's: more cells than working pixels, of another aspect."""
    config = PromptingConfig(coverage_points=0, heatmap_threshold=0.5)
    camera = maps(7, (168, 224))
    check_same(DevicePrompter(config, GRID)(on_device([camera])), 0, make_prompter(config)(on_host(camera)))


def test_number_of_places_is_fixed():
    config = PromptingConfig(max_points=20, coverage_points=4)
    empty = {name: np.zeros_like(values) for name, values in maps(0).items()}
    prompts = DevicePrompter(config, GRID)(on_device([maps(0), empty]))
    assert prompts.points_px.shape == (2, 24, 2) and prompts.scores.shape == prompts.valid.shape == (2, 24)
    assert prompts.valid[0].any() and not prompts.valid[1].any()


def test_depth_prior():
    rng = np.random.default_rng(0)
    height_m = np.abs(rng.normal(0, 0.01, GRID.padded_hw)).astype(np.float32)
    valid = rng.random(GRID.padded_hw) < 0.9
    points = rng.uniform(0.5, 1.5, (*GRID.padded_hw, 3)).astype(np.float32)
    plane = Plane(np.float32([0, 0, -1]), 0.8, 0.5)
    host = Geometry(points, valid, points, height_m, plane)
    stack = lambda values: torch.from_numpy(np.stack([values] * 2))  # noqa: E731
    device = DeviceGeometry(stack(points), stack(valid), stack(points), stack(height_m),
                            torch.tensor([[0, 0, -1, 0.8]] * 2), torch.tensor([True, False]),
                            torch.tensor([True, True]))
    config = PromptingConfig(depth_prior=1.5, coverage_points=0)
    prompts = DevicePrompter(config, GRID)(on_device([maps(0), maps(0)], device))
    weighed, plain = make_prompter(config)(on_host(maps(0), host)), make_prompter(config)(on_host(maps(0)))
    np.testing.assert_allclose(prompts.foreground[0], weighed.foreground, atol=1e-5)
    np.testing.assert_allclose(prompts.foreground[1], plain.foreground, atol=1e-5)
    assert np.abs(weighed.foreground - plain.foreground).max() > 0.1
    check_same(prompts, 0, weighed)
    check_same(prompts, 1, plain)


def test_a_missing_map_is_refused():
    with pytest.raises(ConfigError, match="feature map called 'elsewhere'"):
        DevicePrompter(PromptingConfig(heatmap_map="elsewhere"), GRID)(on_device([maps(0)]))


def test_exported_prompts_are_the_same(tmp_path):
    cameras = [maps(seed) for seed in range(2)]
    features = on_device(cameras)
    inputs = {name: values.squeeze(1) for name, values in features.maps.items()}
    stage = HpgPoints(PromptingConfig(max_points=20, coverage_points=6), GRID, (64, 80), (64, 80))
    names = ("points_px", "scores", "valid", "foreground_work", "heatmap_work")
    exported = run_exported("prompts", stage, inputs, names, tmp_path)
    for name, value in zip(names, stage(*inputs.values())):
        np.testing.assert_allclose(exported[name], value.numpy(), atol=1e-5, err_msg=name)
