"""What HPG is trained on: labels under map cells, heatmaps, the two losses of the paper."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")

from uois_sam_ros.config import preset  # noqa: E402
from uois_sam_ros.encoding.transform import working_grid  # noqa: E402
from uois_sam_ros.models.heads import build_head  # noqa: E402
from uois_sam_ros.replay.sources import Sample  # noqa: E402
from uois_sam_ros.training.hpg import HpgLoss, foreground_entropy, heat_map  # noqa: E402
from uois_sam_ros.training.prepare import IGNORED, make_item, map_label, resize_label  # noqa: E402
from uois_sam_ros.types import Frame  # noqa: E402


def item(label, ignore=None, shade=0):
    color = np.full((*label.shape, 3), shade, np.uint8)
    return make_item(Sample("own", "one", Frame(color), label, ignore))


def test_an_item_keeps_labels_and_what_to_ignore():
    label = np.zeros((48, 64), np.uint16)
    label[10:20, 10:20] = 7
    ignore = np.zeros((48, 64), bool)
    ignore[15:30] = True
    kept = item(label, ignore).label()
    assert set(np.unique(kept)) == {0, 7, IGNORED}
    assert (kept == IGNORED).sum() == ignore.sum() and (kept == 7).sum() == 50
    assert item(label).key == item(label * 2).key != item(label, shade=1).key
    assert item(label).labelled_key != item(label * 2).labelled_key


def test_a_cell_has_the_label_under_its_centre():
    label = np.arange(16, dtype=np.uint16).reshape(4, 4)
    np.testing.assert_array_equal(resize_label(label, (2, 2)), [[5, 7], [13, 15]])
    np.testing.assert_array_equal(resize_label(label, (4, 4)), label)
    np.testing.assert_array_equal(resize_label(label[:1, :2], (2, 4)), [[0, 0, 1, 1]] * 2)


def test_maps_of_sam_are_padded_and_those_of_dinov2_are_not():
    label = np.ones((60, 100), np.uint16)
    grid = working_grid((60, 100), preset("shared-tiny").encoding)
    assert grid.resized_hw == (77, 128)
    padded = map_label(item(label), "sam", (128, 128), grid)
    assert (padded[:77] == 1).all() and (padded[77:] == IGNORED).all()
    assert (map_label(item(label), "dinov2", (336, 448), grid) == 1).all()


def test_the_heatmap_peaks_at_each_centroid_and_takes_the_larger_value_between():
    label = np.zeros((40, 60), np.uint16)
    label[10:13, 10:13], label[20:23, 30:33] = 1, 2
    label[0, 0] = IGNORED
    heat = heat_map(label, sigma=2.0)
    assert heat[11, 11] == heat[21, 31] == 1
    assert heat[11, 13] == pytest.approx(np.exp(-0.5))
    assert heat[11, 31] == pytest.approx(np.exp(-100 / 8), rel=1e-3)
    assert heat[0, 0] < 1e-6


def test_a_centroid_off_its_object_is_snapped_inside():
    ring = np.zeros((40, 40), np.uint16)
    ring[5:35, 5:35] = 1
    ring[10:30, 10:30] = 0
    peak = np.unravel_index(heat_map(ring, 2.0).argmax(), ring.shape)
    assert ring[peak] == 1


def test_each_class_of_an_image_weighs_half():
    """Two of eight pixels are foreground; logits of 0 cost ln 2 a pixel, whatever the counts."""
    classes = torch.tensor([[[1, 1, 0, 0], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 255]]], dtype=torch.uint8)
    flat = foreground_entropy(torch.zeros(2, 2, 2, 4), classes)
    np.testing.assert_allclose(flat, [np.log(2), 0.5 * np.log(2)], rtol=1e-6)  # the second has one class only
    wrong = torch.zeros(2, 2, 2, 4)
    wrong[0, 0, 0, 0] = 5.0  # one of two foreground pixels is taken for background: a quarter of the weight
    cost = foreground_entropy(wrong, classes)[0] - flat[0]
    assert float(cost) == pytest.approx(0.25 * (np.log1p(np.exp(5.0)) - np.log(2)), rel=1e-5)


def test_ignored_pixels_count_in_neither_loss():
    loss = HpgLoss(build_head("sam_tiny_hpg", width=8, widths=(4, 4)).eval(), 0.1)
    features, heat = torch.randn(1, 256, 32, 32), torch.rand(1, 1, 128, 128)
    classes = torch.randint(0, 2, (1, 128, 128), dtype=torch.uint8)
    classes[:, 64:] = 255
    other = heat.clone()
    other[:, :, 64:] = 0
    with torch.no_grad():
        assert torch.equal(loss(features, classes, heat), loss(features, classes, other))
        other[:, :, :64] = 0
        assert not torch.equal(loss(features, classes, heat), loss(features, classes, other))


def test_the_loss_is_the_paper_s_sum():
    network = build_head("sam_tiny_hpg", width=8, widths=(4, 4)).eval()
    features, heat = torch.randn(2, 256, 32, 32), torch.rand(2, 1, 128, 128)
    classes = torch.randint(0, 2, (2, 128, 128), dtype=torch.uint8)
    with torch.no_grad():
        logits, _ = network.logits(features)
        _, found = network(features)
        expected = 0.1 * foreground_entropy(logits, classes) + ((found - heat) ** 2).mean((1, 2, 3))
        torch.testing.assert_close(HpgLoss(network, 0.1)(features, classes, heat), expected)
