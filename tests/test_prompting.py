"""Peaks, thinning, HPG with its cover, the grid baselines and their registry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uois_sam_ros.config import PromptingConfig
from uois_sam_ros.errors import ConfigError
from uois_sam_ros.prompting import STRATEGIES, make_prompter
from uois_sam_ros.prompting.maps import read_foreground
from uois_sam_ros.prompting.peaks import find_peaks, thin_by_distance
from uois_sam_ros.types import Features, Geometry, Grid, Plane


def peaks(rows, window=3, threshold=0.1):
    cells, scores = find_peaks(np.array(rows, np.float32), window=window, threshold=threshold)
    return [tuple(cell) for cell in cells.tolist()], scores.tolist()


@pytest.mark.parametrize("rows, window, expected", [
    ([[0, 0, 0], [0, .5, 0], [0, 0, 0]], 3, [(1, 1)]),                     # one peak, (x, y)
    ([[.9, 0, 0, .5]], 3, [(0, 0), (3, 0)]),                               # at the border, best first
    ([[.3, 0, 0, .5]], 7, [(3, 0)]),                                       # one window, one peak
    ([[.05, 0, 0]], 3, []),                                                # under the threshold
    ([[.1, 0, 0]], 3, [(0, 0)]),                                           # at the threshold
    ([[0, .5, .5, .5, 0]], 3, [(2, 0)]),                                   # plateau: its centre, once
    ([[.5, .5], [.5, .5]], 3, [(0, 0)]),                                   # plateau of four: one of them
    ([[.5, .5, .5, .5, .5, .5, .9]], 3, [(6, 0)]),                         # a shelf is no peak
    ([[.5, 0, .5]], 3, [(0, 0), (2, 0)]),                                  # equal, not adjacent
    ([[.5, 0, .5], [.5, 0, .5], [.5, .5, .5]], 3, [(0, 2)]),               # bent plateau: on it, once
    (np.full((9, 9), .7), 3, [(4, 4)]),                                    # saturated map
    (np.zeros((5, 5)), 3, []),                                             # empty map
    (np.full((3, 3), np.nan), 3, []),                                      # broken map
])
def test_find_peaks(rows, window, expected):
    cells, scores = peaks(rows, window)
    if len(expected) == 1 and expected[0] == (0, 2):
        assert len(cells) == 1 and np.array(rows)[cells[0][1]][cells[0][0]] == .5
    else:
        assert cells == expected
    assert scores == sorted(scores, reverse=True)


def test_every_plateau_gives_exactly_one_peak():
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 5, (40, 60)).astype(np.float32) / 5
    cells, _ = find_peaks(steps, window=3, threshold=0.1)
    assert len(cells) == len(_plain_peaks(steps))
    smooth = rng.random((40, 60)).astype(np.float32)
    cells, _ = find_peaks(smooth, window=3, threshold=0.1)
    assert {tuple(cell) for cell in cells.tolist()} == set(_plain_peaks(smooth))


def _plain_peaks(values, threshold=0.1):
    """Flood each region of equal values; it is a peak when no neighbour is greater."""
    height, width = values.shape
    seen, found = np.zeros(values.shape, bool), []
    for start in np.ndindex(height, width):
        if seen[start] or values[start] < threshold:
            continue
        stack, is_peak = [start], True
        seen[start] = True
        while stack:
            r, c = stack.pop()
            for dr, dc in np.ndindex(3, 3):
                near = (r + dr - 1, c + dc - 1)
                if not (0 <= near[0] < height and 0 <= near[1] < width):
                    continue
                is_peak &= values[near] <= values[start]
                if values[near] == values[start] and not seen[near]:
                    seen[near] = True
                    stack.append(near)
        if is_peak:
            found.append((start[1], start[0]))
    return found


def test_thin_by_distance():
    points = np.float32([[0, 0], [2, 0], [3, 0], [10, 0], [10, 2.9]])
    assert thin_by_distance(points, 3, limit=9).tolist() == [0, 2, 3]  # 3 apart is far enough
    assert thin_by_distance(points, 0, limit=9).tolist() == [0, 1, 2, 3, 4]
    assert thin_by_distance(points, 3, limit=2).tolist() == [0, 2]
    assert thin_by_distance(points[:0], 3, limit=2).tolist() == []


def features(foreground, heatmap, grid=Grid((480, 640), (240, 320), (240, 320))):
    return Features(grid, {"foreground": foreground[None, None], "heatmap": heatmap[None, None]})


def blank():
    return np.zeros((120, 160), np.float32)


def test_hpg_points_lie_at_cell_centres():
    foreground, heatmap = blank(), blank()
    foreground[40:60, 50:70] = 0.9
    heatmap[50, 61], heatmap[44, 52] = 0.8, 0.6
    heatmap[10, 10] = 0.99  # not on foreground
    prompts = make_prompter(PromptingConfig(coverage_points=0))(features(foreground, heatmap))
    np.testing.assert_array_equal(prompts.points_px, [[122.5, 100.5], [104.5, 88.5]])
    np.testing.assert_allclose(prompts.scores, [0.8, 0.6])
    assert prompts.foreground.shape == prompts.heatmap.shape == (240, 320)
    assert prompts.points_px.dtype == prompts.scores.dtype == np.float32


def test_hpg_top_k_and_thresholds():
    foreground, heatmap = blank() + 1, blank()
    heatmap[10:110:10, 10:150:10] = np.linspace(0.05, 1, 140).reshape(10, 14)
    for k in (1, 7, 60):
        config = PromptingConfig(coverage_points=0, max_points=k)
        prompts = make_prompter(config)(features(foreground, heatmap))
        np.testing.assert_allclose(prompts.scores, np.linspace(0.05, 1, 140)[::-1][:k], rtol=1e-5)
    config = PromptingConfig(coverage_points=0, heatmap_threshold=0.5, max_points=1000)
    assert make_prompter(config)(features(foreground, heatmap)).scores.min() >= 0.5


def test_hpg_covers_missed_foreground_from_inside():
    foreground, heatmap = blank(), blank()
    foreground[20:36, 20:36] = 0.9   # has a peak that covers it
    heatmap[28, 28] = 0.7
    foreground[80:90, 100:140] = 0.8  # has none
    config = PromptingConfig(coverage_points=16, coverage_radius_px=30)
    prompts = make_prompter(config)(features(foreground, heatmap))
    extra = prompts.points_px[1:]
    np.testing.assert_array_equal(prompts.points_px[0], [56.5, 56.5])
    assert 1 <= len(extra) <= 6
    cells = ((extra - 0.5) / 2).astype(int)
    assert (foreground[cells[:, 1], cells[:, 0]] == np.float32(0.8)).all()
    assert 83 <= cells[0, 1] <= 86  # the first one lies deep inside
    assert (prompts.scores[1:] < prompts.scores[0]).all() and (np.diff(prompts.scores) <= 0).all()
    gaps = np.linalg.norm(extra[:, None] - extra[None], axis=-1)[np.triu_indices(len(extra), 1)]
    assert (gaps > 28).all()  # a covered place gets no second point
    one = make_prompter(PromptingConfig(coverage_points=1))(features(foreground, heatmap))
    assert len(one) == 2


def test_hpg_covers_foreground_at_the_image_border():
    foreground = blank()
    foreground[:6, :6] = 1
    prompts = make_prompter(PromptingConfig())(features(foreground, blank()))
    assert len(prompts) == 1 and (prompts.points_px[0] > 2).all() and (prompts.points_px[0] < 10).all()


def test_hpg_never_prompts_in_the_padding():
    grid = Grid((720, 1280), (240, 427), (240, 432))
    maps = np.ones((120, 216), np.float32)
    heatmap = np.random.default_rng(0).random((120, 216)).astype(np.float32)
    heatmap[:, 214:] = 1
    prompts = make_prompter(PromptingConfig())(features(maps, heatmap, grid))
    assert len(prompts) > 50 and prompts.points_px[:, 0].max() <= 426


def test_nothing_to_prompt():
    prompts = make_prompter(PromptingConfig())(features(blank(), blank()))
    assert len(prompts) == 0 and prompts.points_px.shape == (0, 2) and prompts.scores.shape == (0,)


def test_grid_needs_no_maps():
    grid = Grid((480, 640), (240, 320), (240, 320))
    prompts = make_prompter(PromptingConfig(strategy="grid", grid_side=4))(Features(grid, {}))
    assert prompts.foreground is None and prompts.heatmap is None
    np.testing.assert_array_equal(np.unique(prompts.points_px[:, 0]), [39.5, 119.5, 199.5, 279.5])
    np.testing.assert_array_equal(np.unique(prompts.points_px[:, 1]), [39.5, 119.5, 199.5])
    assert len(prompts) == 12 and (prompts.scores == 1).all()


def test_foreground_strategy_keeps_grid_points_on_foreground():
    foreground = blank()
    foreground[:, 80:] = np.linspace(0.2, 1, 120)[:, None]
    config = PromptingConfig(strategy="foreground", grid_side=8)
    prompts = make_prompter(config)(features(foreground, blank()))
    everything = make_prompter(PromptingConfig(strategy="grid", grid_side=8))(features(foreground, blank()))
    assert 0 < len(prompts) < len(everything)
    assert (prompts.points_px[:, 0] > 158).all() and (prompts.scores >= config.foreground_threshold).all()
    assert (np.diff(prompts.scores) <= 0).all()


@pytest.mark.parametrize("strategy", ["hpg", "foreground"])
def test_missing_map_is_named(strategy):
    config = PromptingConfig(strategy=strategy, foreground_map="fg2")
    with pytest.raises(ConfigError, match="'fg2', the encoders made foreground, heatmap"):
        make_prompter(config)(features(blank(), blank()))


def test_unknown_strategy():
    with pytest.raises(ConfigError, match="prompting.strategy: expected one of hpg, grid"):
        make_prompter(PromptingConfig(strategy="clicks"))
    assert set(STRATEGIES) == {"hpg", "grid", "foreground"}


def on_a_table(height_m=0.05):
    """A map that is foreground everywhere, over a table whose middle rises by ``height_m``."""
    height = np.zeros((32, 48), np.float32)
    height[10:20, 16:32] = height_m
    points = np.ones((32, 48, 3), np.float32)
    valid = np.ones((32, 48), bool)
    valid[:4] = False
    geometry = Geometry(points, valid, points, height, Plane(np.float32([0, -1, 0]), 1.0, 0.5))
    grid = Grid((64, 96), (32, 48), (32, 48))
    return Features(grid, {"foreground": np.ones((1, 1, 16, 24), np.float32)}, geometry)


def test_depth_prior_takes_the_table_from_the_foreground():
    features = on_a_table()
    prior = read_foreground(features, PromptingConfig(depth_prior=1.0))
    assert prior.shape == (16, 24)
    assert prior[7, 12] > 0.99 and prior[12, 12] < 0.01 and prior[12, 2] < 0.01
    assert (prior[:2] == 1).all()  # no reading, no say
    np.testing.assert_allclose(read_foreground(features, PromptingConfig(depth_prior=2.0)), prior ** 2, atol=0.05)
    thin = read_foreground(on_a_table(0.006), PromptingConfig(depth_prior=1.0))
    assert 0.5 < thin[7, 12] < 0.7


@pytest.mark.parametrize("geometry", [None, "no plane"])
def test_without_depth_or_plane_the_foreground_stays_as_it_is(geometry):
    features = on_a_table()
    if geometry is None:
        features = Features(features.grid, features.maps)
    else:
        features = Features(features.grid, features.maps, replace(features.geometry, plane=None))
    assert (read_foreground(features, PromptingConfig(depth_prior=1.0)) == 1).all()


@pytest.mark.parametrize("strategy", ["hpg", "foreground"])
def test_prompts_avoid_what_depth_calls_table(strategy):
    features = on_a_table()
    heatmap = np.zeros((1, 1, 16, 24), np.float32)
    heatmap[0, 0, 7, 12] = heatmap[0, 0, 13, 4] = 0.9
    features = Features(features.grid, {**features.maps, "heatmap": heatmap}, features.geometry)
    config = PromptingConfig(strategy=strategy, coverage_points=0)
    every = make_prompter(config)(features)
    kept = make_prompter(replace(config, depth_prior=1.0))(features)
    assert 0 < len(kept) < len(every)
    assert kept.foreground.min() < 0.1 and every.foreground.min() == 1
