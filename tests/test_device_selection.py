"""Selection on the device against the numpy stage: pieces, limits, suppression, snapping, label images, records.

Over 400 lines because all of it shares the made-up candidates and their depth.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the device path needs the train extra")

from ondevice import DEVICES, agreement, device_features, device_masks, device_prompts  # noqa: E402
from tabletop import tabletop  # noqa: E402

from uois_sam_ros.config import SelectionConfig  # noqa: E402
from uois_sam_ros.device.candidates import best_hypotheses, mask_boxes  # noqa: E402
from uois_sam_ros.device.components import components, crumbs, piece_sizes  # noqa: E402
from uois_sam_ros.device.histogram import histogram  # noqa: E402
from uois_sam_ros.device.limits import metric_extent, off_plane, within_size  # noqa: E402
from uois_sam_ros.device.nms import Suppression  # noqa: E402
from uois_sam_ros.device.paint import make_painter, without_gaps  # noqa: E402
from uois_sam_ros.device.select import DeviceElector, is_settled, read_tally, tally_rows  # noqa: E402
from uois_sam_ros.device.shares import OfCount, most_of  # noqa: E402
from uois_sam_ros.device.snap import DeviceEdgeSnapper  # noqa: E402
from uois_sam_ros.geometry import compute_geometry  # noqa: E402
from uois_sam_ros.selection import select  # noqa: E402
from uois_sam_ros.selection import candidates as host_candidates  # noqa: E402
from uois_sam_ros.selection import limits as host_limits  # noqa: E402
from uois_sam_ros.selection import nms as host_nms  # noqa: E402
from uois_sam_ros.selection.snap import EdgeSnapper  # noqa: E402
from uois_sam_ros.selection.support import off_plane as host_off_plane  # noqa: E402
from uois_sam_ros.types import Features, Frame, Grid, MaskSet, Prompts  # noqa: E402

GRID = Grid((96, 128), (48, 64), (48, 64))
PADDED = Grid((90, 120), (45, 60), (48, 64))
ODD = Grid((101, 133), (61, 80), (64, 80))  # native pixels that fall nowhere special
LOOSE = SelectionConfig(score_threshold=0.0, min_area=0.0, max_area=1.0)


def blobs(count, hw=(48, 64), seed=0, hypotheses=3):
    """A mask set of smooth random blobs, each with crumbs, some far larger than others."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:hw[0], :hw[1]]
    masks = np.empty((count, hypotheses, *hw), np.float32)
    for index in np.ndindex(count, hypotheses):
        cx, cy, r = rng.uniform(0, hw[1]), rng.uniform(0, hw[0]), rng.uniform(1.5, 14)
        wobble = cv2.GaussianBlur(rng.normal(0, 1, hw).astype(np.float32), (0, 0), 2) * 6
        masks[index] = 0.5 * (r - np.hypot(x - cx, y - cy)) + wobble
    scores = rng.uniform(0, 1, (count, hypotheses)).astype(np.float32)
    return MaskSet(masks, scores, np.zeros((count, hypotheses, 4), np.float32), np.zeros((count, 4), np.float32),
                   np.zeros((count, 2), np.float32), scores)


def picture(hw, seed=0):
    rng = np.random.default_rng(seed)
    color = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), hw[::-1], interpolation=cv2.INTER_NEAREST)
    return np.clip(color + rng.normal(0, 4, color.shape), 0, 255).astype(np.uint8)


def depth_scene(grid):
    """A table with boxes on the grid: its frame at native size, and the geometry."""
    frame, _, _ = tabletop(height=grid.native_hw[0], width=grid.native_hw[1])
    small, _, _ = tabletop(height=grid.padded_hw[0], width=grid.padded_hw[1], noise_m=0.001)
    depth = small.depth_m.copy()
    depth[5:9, 10:20] = 0
    return frame, compute_geometry(depth, small.intrinsics)


def run(frames, features, mask_sets, config, device, spare=3):
    """Select on the device for several cameras; return label images, tallies and visible masks."""
    count = max(map(len, mask_sets)) + spare
    masks, on_device = device_masks(mask_sets, count, device), device_features(features, device)
    rounds = 8
    while True:
        election, settled = DeviceElector(config, features[0].grid).to(device)(on_device, masks, rounds)
        prompts = device_prompts([Prompts(m.points_px, np.ones(len(m), np.float32)) for m in mask_sets], count, device)
        rows = tally_rows(on_device, prompts, election, settled).cpu().numpy()
        if is_settled(rows):
            break
        rounds *= 2
    color = torch.from_numpy(np.stack([frame.color for frame in frames])).to(device)
    painter = make_painter(config, features[0].grid).to(device)
    tallies = [read_tally(row) for row in rows]
    kept = max(1, max(len(tally.scores) for tally in tallies))
    label, visible, done = painter(*election.ballots(kept), color, rounds)
    assert bool(done)
    return label.cpu().numpy().astype(np.uint16), tallies, visible.cpu().numpy()


def compare(frames, features, mask_sets, config, device, least=1.0):
    """Both selections of every camera: label images agree, the same masks with the same scores."""
    labels, tallies, visible = run(frames, features, mask_sets, config, device)
    for frame, feature, masks, label, tally, seen in zip(frames, features, mask_sets, labels, tallies, visible):
        host = select(frame, feature, masks, config)
        assert agreement(label, host.label) >= least
        scores = tally.scores[seen[:len(tally.scores)]]
        np.testing.assert_allclose(scores, [item.score for item in host.items], rtol=1e-6)
        assert tally.depth_used == host.depth_used
    return labels


def spiral(side):
    mask = np.zeros((side, side), bool)
    low, high = 0, side - 1
    while high - low > 3:
        mask[low, low:high + 1] = mask[low:high + 1, high] = mask[high, low:high + 1] = True
        mask[low + 2:high + 1, low] = mask[low + 2, low:low + 3] = True
        low, high = low + 2, high - 2
    return mask


PIECES = {
    "noise": np.random.default_rng(0).random((48, 48)) > 0.5,
    "all": np.ones((48, 48), bool),
    "nothing": np.zeros((48, 48), bool),
    "single pixels": np.indices((48, 48)).sum(0) % 5 == 0,
    "chequered": np.indices((48, 48)).sum(0) % 2 == 0,
    "spiral": spiral(48),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("diagonal", [True, False])
def test_pieces_are_those_of_opencv(device, diagonal):
    masks = torch.from_numpy(np.stack(list(PIECES.values()))).to(device)
    labels, settled = components(masks, diagonal=diagonal, rounds=16)
    sizes = piece_sizes(labels, masks).cpu().numpy().reshape(masks.shape)
    assert bool(settled)
    for mask, size in zip(PIECES.values(), sizes):
        _, piece, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8 if diagonal else 4)
        np.testing.assert_array_equal(size, np.where(mask, stats[piece, cv2.CC_STAT_AREA], 0))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("least", [1, 2, 5, 40, 3000])
def test_crumbs_are_the_small_pieces(device, least):
    masks = torch.from_numpy(np.stack(list(PIECES.values()))).to(device)
    labels, _ = components(masks, diagonal=False, rounds=16)
    limits = torch.full((len(masks),), least, device=device)
    found, enough = crumbs(labels, masks, limits, rounds=400)
    sizes = piece_sizes(labels, masks).view(masks.shape)
    assert bool(enough) and torch.equal(found, masks & (sizes < least))
    few, enough = crumbs(labels, masks, limits, rounds=4)
    assert torch.equal(few, found) if least >= 40 else not bool(enough)


def test_histogram():
    numbers = np.random.default_rng(0).integers(0, 37, (3, 500))
    expected = [np.bincount(row, minlength=37) for row in numbers]
    np.testing.assert_array_equal(histogram(torch.from_numpy(numbers), 37).numpy(), expected)


def test_too_few_rounds_are_told():
    masks = torch.from_numpy(PIECES["spiral"][None])
    assert not bool(components(masks, diagonal=True, rounds=4)[1])
    assert bool(components(masks, diagonal=True, rounds=16)[1])


@pytest.mark.parametrize("device", DEVICES)
def test_best_hypotheses(device):
    sets = [blobs(9, seed=1), blobs(6, seed=2)]
    found = best_hypotheses(device_masks(sets, 12, device), PADDED, score_threshold=0.4)
    for camera, masks in enumerate(sets):
        host = host_candidates.best_hypotheses(masks, PADDED, score_threshold=0.4)
        kept = found.standing[camera].cpu().numpy()
        assert kept.sum() == len(host) > 2
        np.testing.assert_array_equal(found.masks[camera].cpu().numpy()[kept], np.stack(host.masks))
        np.testing.assert_array_equal(found.boxes[camera].cpu().numpy()[kept], host.boxes)
        np.testing.assert_array_equal(found.areas[camera].cpu().numpy()[kept], host.areas)
        np.testing.assert_array_equal(found.scores[camera].cpu().numpy()[kept], host.scores)


@pytest.mark.parametrize("device", DEVICES)
def test_metric_extent(device):
    """Masks sampled at every pixel, at every third, thin in a large box, with too few readings, and empty."""
    grid = Grid((240, 320), (240, 320), (240, 320))
    _, geometry = depth_scene(grid)
    rng = np.random.default_rng(0)
    masks = np.zeros((40, 240, 320), bool)
    for mask in masks[:-4]:
        y, x = rng.integers(0, 200), rng.integers(0, 280)
        mask[y:y + rng.integers(1, 200), x:x + rng.integers(1, 200)] = rng.random() < 0.9
        mask &= rng.random(mask.shape) < rng.uniform(0.05, 1)
    masks[-4, 100, 50:300], masks[-3, 6:8, 12:18], masks[-2, 20:220, 31] = True, True, True
    tensors = torch.from_numpy(masks)[None].to(device)
    extent, enough = metric_extent(torch.from_numpy(geometry.points_m)[None].to(device),
                                   torch.from_numpy(geometry.valid)[None].to(device), tensors, mask_boxes(tensors))
    verdicts = 0
    for k, mask in enumerate(masks[:-1]):
        rows, cols = np.nonzero(mask)
        if not len(rows):
            continue
        crop = slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1)
        expected = host_limits.metric_extent(geometry, mask[crop], crop)
        assert bool(enough[0, k]) == (expected is not None)
        if expected is not None:
            assert float(extent[0, k]) == pytest.approx(expected, rel=1e-6)
            verdicts += 1
    assert verdicts > 25 and not bool(enough[0, -3]) and not bool(enough[0, -1])


def test_metric_extent_of_a_mask_between_the_samples():
    """More points than are sorted, none of them sampled: the first in raster order make the verdict."""
    mask = torch.ones(1, 1, 100, 100, dtype=torch.bool)
    mask[..., ::5, ::5] = False
    mask[..., 0, 0] = True
    points = torch.zeros(1, 100, 100, 3)
    points[..., 1] = torch.arange(100.0)[:, None] / 100
    extent, enough = metric_extent(points, mask[:, 0], mask, torch.tensor([[[0, 0, 100, 100]]]))
    early = np.nonzero(mask[0, 0].numpy())[0][:3840] / 100
    low, high = (early[round(quantile * 3839)] for quantile in host_limits.EXTENT_QUANTILES)
    assert bool(enough) and float(extent) == pytest.approx((high - low) / 0.9, rel=1e-5)


def test_ranks_of_quantiles_are_the_hosts():
    from uois_sam_ros.device.limits import _rank

    counts = torch.arange(1, 20000)
    for quantile in host_limits.EXTENT_QUANTILES:
        expected = [round(quantile * (count - 1)) for count in counts.tolist()]
        assert _rank(quantile, counts).tolist() == expected


@pytest.mark.parametrize("device", DEVICES)
def test_size_limit_and_plane_veto(device):
    """A camera with a plane, one without, and one without depth, in one batch."""
    frame, geometry = depth_scene(GRID)
    config = replace(LOOSE, plane_ratio=0.4, max_size_m=0.25, min_size_m=0.05)
    sets = [blobs(30, seed=seed, hypotheses=1) for seed in range(3)]
    features = [Features(GRID, {}, given) for given in (geometry, replace(geometry, plane=None), None)]
    found = best_hypotheses(device_masks(sets, 30, device), GRID, score_threshold=0)
    on_device = device_features(features, device).geometry
    size = within_size(found, on_device, config).cpu().numpy()
    most_on_plane = OfCount(most_of(config.plane_ratio, 48 * 64)).to(device)
    plane = off_plane(found, on_device, config, most_on_plane).cpu().numpy()
    for camera, (masks, feature) in enumerate(zip(sets, features)):
        host = host_candidates.best_hypotheses(masks, GRID, score_threshold=0)
        kept = found.standing[camera].cpu().numpy()
        nothing = np.ones(len(host), bool)
        given = feature.geometry
        np.testing.assert_array_equal(
            size[camera][kept], nothing if given is None else host_limits.within_size(host, given, config))
        np.testing.assert_array_equal(
            plane[camera][kept], nothing if given is None else host_off_plane(host, given, config))
    assert 0 < plane[0].sum() < 30 and 0 < size[0].sum() < 30


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("iou", "containment", "limit"), [
    (0.4, 0.7, 99), (0.4, 1.0, 99), (0.0, 0.0, 99), (1.0, 0.2, 99), (0.3, 0.8, 4)])
def test_suppression(device, iou, containment, limit):
    sets = [blobs(40, seed=3, hypotheses=1), blobs(25, seed=4, hypotheses=1)]
    found = best_hypotheses(device_masks(sets, 40, device), GRID, score_threshold=0)
    suppress = Suppression(48 * 64, iou=iou, containment=containment, limit=limit).to(device)
    chosen, settled = suppress(found, 40)
    assert bool(settled)
    for camera, masks in enumerate(sets):
        host = host_candidates.best_hypotheses(masks, GRID, score_threshold=0)
        expected = host_nms.suppress(host, iou=iou, containment=containment, limit=limit)
        places = np.flatnonzero(found.standing[camera].cpu().numpy())
        np.testing.assert_array_equal(np.flatnonzero(chosen[camera].cpu().numpy()), places[expected])


def test_a_long_chain_needs_more_rounds_and_says_so():
    """Each mask is dropped or kept because the one before it is kept or dropped."""
    masks = np.full((20, 1, 48, 64), -4, np.float32)
    for k in range(20):
        masks[k, 0, 10:30, 3 * k:3 * k + 6] = 4
    scores = np.linspace(0.9, 0.1, 20, dtype=np.float32)[:, None]
    chain = replace(blobs(20, hypotheses=1), low_res_masks=masks, scores=scores)
    found = best_hypotheses(device_masks([chain], 20, "cpu"), GRID, score_threshold=0)
    suppress = Suppression(48 * 64, iou=0.2, containment=1, limit=99)
    assert not bool(suppress(found, 8)[1])
    chosen, settled = suppress(found, 32)
    assert bool(settled) and chosen[0].nonzero().flatten().tolist() == list(range(0, 20, 2))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("hw", "radius"), [((96, 128), 8.0), ((101, 133), 9.0), ((48, 64), 3.0), ((20, 30), 20.0)])
def test_snapping_a_whole_picture(device, hw, radius):
    color = picture(hw)
    logits = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 30, (2, *hw)).astype(np.float32).transpose(1, 2, 0),
                              (0, 0), 4).transpose(2, 0, 1)
    snapper = DeviceEdgeSnapper(hw, radius, 3e-4).to(device)
    moved = snapper(snapper.guide(torch.from_numpy(color)[None].to(device)),
                    torch.from_numpy(np.ascontiguousarray(logits))[None].to(device))[0].cpu().numpy()
    host = EdgeSnapper(color, radius, 3e-4)
    for ours, given in zip(moved, logits):
        np.testing.assert_allclose(ours, host.snap(given, (0, 0, hw[1], hw[0])), atol=2e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("grid", [GRID, PADDED, ODD], ids=["half", "padded", "odd"])
@pytest.mark.parametrize("radius", [0.0, 4.0])
def test_label_images(device, grid, radius):
    """Two cameras. With snapping a mask sees beyond its window, the host sees the window's mirror image: a few edge
    pixels outside the masks' boxes may differ."""
    config = replace(LOOSE, edge_radius_px=radius)
    sets = [blobs(25, grid.padded_hw, seed=5), blobs(12, grid.padded_hw, seed=6)]
    frames = [Frame(picture(grid.native_hw, seed)) for seed in range(2)]
    labels = compare(frames, [Features(grid, {})] * 2, sets, config, device, least=0.995 if radius else 1.0)
    assert all(len(np.unique(label)) > 4 for label in labels)


@pytest.mark.parametrize("device", DEVICES)
def test_label_images_with_depth(device):
    frame, geometry = depth_scene(GRID)
    sets = [blobs(25, seed=7), blobs(25, seed=8)]
    config = SelectionConfig(plane_ratio=0.5)
    features = [Features(GRID, {}, geometry), Features(GRID, {}, None)]
    compare([frame, frame.without_depth()], features, sets, config, device, least=0.995)


def test_nothing_is_painted_outside_the_windows():
    """Far from the mask logits are barely negative, and the filter's line through dark and grey passes zero at white."""
    column = np.arange(128) % 3
    color = np.broadcast_to(np.uint8([0, 128, 128])[column][None, :, None], (96, 128, 3)).copy()
    color[50::9, 64::9] = 255
    logits = np.where(color[..., 0] == 0, -3, -0.01).astype(np.float32)
    logits[10:20, 10:20] = 4
    grid = Grid((96, 128), (96, 128), (96, 128))
    painter = make_painter(replace(LOOSE, edge_radius_px=4.0), grid)
    masks, picture_of = torch.from_numpy(logits)[None, None], torch.from_numpy(color)[None]
    moved = painter.snapper(painter.snapper.guide(picture_of), masks)[0, 0]
    (x0, y0, x1, y1), = painter.native_windows(np.array([[10, 10, 20, 20]]))
    inside = torch.zeros(96, 128, dtype=torch.bool)
    inside[y0:y1, x0:x1] = True
    assert (moved[~inside] > 0).any()  # the case is one
    one = torch.ones(1, 1)
    label, _, _ = painter(masks, torch.tensor([[[10, 10, 20, 20]]]), 100 * one.long(), one, one > 0, picture_of)
    assert (label[0][inside] > 0).any() and not (label[0][~inside] > 0).any()


def only(*boxes, score=None, hw=(48, 64)):
    """A mask set of rectangles, one hypothesis each."""
    masks = np.full((len(boxes), 1, *hw), -4, np.float32)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes):
        mask[0, y0:y1, x0:x1] = 4
    scores = np.full((len(boxes), 1), 0.9, np.float32) if score is None else np.float32(score)[:, None]
    return MaskSet(masks, scores, np.zeros((len(boxes), 1, 4), np.float32), np.zeros((len(boxes), 4), np.float32),
                   np.zeros((len(boxes), 2), np.float32), scores)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("masks", [
    only(),                                                     # no prompts at all
    only((5, 5, 5, 5), (9, 9, 9, 9)),                           # empty masks
    only((5, 5, 6, 6)),                                         # one pixel
    only((0, 0, 1, 1), (63, 47, 64, 48), (20, 20, 22, 21)),     # one pixel in two corners, two pixels
    only((10, 10, 30, 30), (10, 10, 30, 30)),                   # equals: the first stays
    only((0, 0, 64, 48)),                                       # everything
    only((4, 4, 20, 20), (30, 4, 50, 20), score=(0.9, 0.0)),    # a claim of nothing paints nothing
], ids=["no prompts", "empty", "one pixel", "corners", "equals", "everything", "score zero"])
@pytest.mark.parametrize("radius", [0.0, 4.0])
def test_made_up_cases(device, masks, radius):
    frame = Frame(picture(GRID.native_hw))
    compare([frame], [Features(GRID, {})], [masks], replace(LOOSE, edge_radius_px=radius), device,
            least=0.995 if radius else 1.0)


@pytest.mark.parametrize("device", DEVICES)
def test_more_than_255_objects(device):
    grid = Grid((80, 80), (80, 80), (80, 80))
    corners = [(x, y) for y in range(0, 80, 5) for x in range(0, 80, 4)]
    masks = only(*[(x, y, x + 3, y + 3) for x, y in corners], hw=(80, 80))
    config = replace(LOOSE, edge_radius_px=0)
    (label,) = compare([Frame(picture((80, 80)))], [Features(grid, {})], [masks], config, device)
    assert label.max() == len(corners) == 320


def test_ids_beyond_int16_survive():
    label = torch.arange(40001).reshape(1, 1, -1)
    renamed, seen = without_gaps(label, 40000)
    np.testing.assert_array_equal(renamed.to(torch.int16).numpy().view(np.uint16).ravel(), np.arange(40001))
    assert bool(seen.all())


def test_batches_equal_singles():
    sets = [blobs(12, seed=seed) for seed in range(3)]
    frames = [Frame(picture(GRID.native_hw, seed)) for seed in range(3)]
    features = [Features(GRID, {})] * 3
    together, tallies, _ = run(frames, features, sets, LOOSE, "cpu")
    for camera in range(3):
        alone, tally, _ = run(frames[camera:camera + 1], features[:1], sets[camera:camera + 1], LOOSE, "cpu", spare=0)
        np.testing.assert_array_equal(together[camera], alone[0])
        np.testing.assert_array_equal(tallies[camera].boxes, tally[0].boxes)


def test_tally():
    """What the host learns: prompts that are taken, the plane, whether depth was used."""
    frame, geometry = depth_scene(GRID)
    prompts = Prompts(np.float32([[3, 4], [9, 1]]), np.float32([0.9, 0.0]))
    features = device_features([Features(GRID, {}, geometry), Features(GRID, {}, None)], "cpu")
    masks = device_masks([only((4, 4, 20, 20)), only()], 3, "cpu")
    election, settled = DeviceElector(LOOSE, GRID)(features, masks)
    nothing = Prompts(np.zeros((0, 2), np.float32), np.zeros(0, np.float32))
    on_device = device_prompts([prompts, nothing], 3, "cpu")
    rows = tally_rows(features, on_device, election, settled).numpy()
    first, second = map(read_tally, rows)
    np.testing.assert_array_equal(first.points_px, prompts.points_px)
    np.testing.assert_array_equal(first.point_scores, prompts.scores)
    np.testing.assert_allclose([*first.plane.normal, first.plane.offset],
                               [*geometry.plane.normal, geometry.plane.offset], rtol=1e-6)
    assert first.depth_used and not second.depth_used and second.plane is None and len(second.points_px) == 0
    assert is_settled(rows)
    assert not is_settled(tally_rows(features, on_device, election, ~settled).numpy())
