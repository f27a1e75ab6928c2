"""Clicks for HDNet: where they fall, the true IoU they are scored with, and what HDNet makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import block_frame  # noqa: E402
from tinynets import write_tiny_checkpoints  # noqa: E402

from uois_sam_ros.config import preset  # noqa: E402
from uois_sam_ros.models.heads import build_head  # noqa: E402
from uois_sam_ros.replay.sources import Sample  # noqa: E402
from uois_sam_ros.training.backbones import Backbone  # noqa: E402
from uois_sam_ros.training.cache import FeatureCache  # noqa: E402
from uois_sam_ros.training.clicks import ClickConfig, Clicks, collect_clicks, true_iou  # noqa: E402
from uois_sam_ros.training.fit import FitConfig, fit  # noqa: E402
from uois_sam_ros.training.hdnet import HdnetTask, selection_quality  # noqa: E402
from uois_sam_ros.training.prepare import FEATURES, make_item  # noqa: E402
from uois_sam_ros.training.ranks import Ranks  # noqa: E402
from uois_sam_ros.types import Frame  # noqa: E402

ENCODING = preset("shared-tiny").encoding


@pytest.fixture(scope="module")
def sam(tmp_path_factory) -> Backbone:
    folder = write_tiny_checkpoints(tmp_path_factory.mktemp("nets"))
    return Backbone("sam_tiny_encoder", folder / "sam_tiny.pth")


@pytest.fixture(scope="module")
def features(sam, tmp_path_factory):
    """A shelf with random embeddings: clicks need no real ones."""
    shelf = FeatureCache(tmp_path_factory.mktemp("cache"), 1).shelf(sam.shelf_name)
    for number in range(3):
        torch.manual_seed(number)
        shelf.put(items()[number].key, {FEATURES: torch.randn(256, 32, 32).half().numpy()})
    return shelf


def items(ids=1):
    frames = [block_frame(seed) for seed in range(3)]
    return [make_item(Sample("blocks", str(k), Frame(f.color), f.label * np.uint16(ids))) for k, f in enumerate(frames)]


def collect(sam, features, config=ClickConfig(per_frame=10), which=slice(None), ids=1):
    return collect_clicks(items(ids)[which], sam, features, config, ENCODING, Ranks())


def test_iou_with_the_clicked_object_by_hand():
    label = np.array([[1, 1, 2], [1, 1, 0]])
    masks = np.zeros((3, 2, 2, 3), bool)
    masks[0, 0, :, :2] = True  # the object itself
    masks[0, 1] = True  # everything: 4 of 6
    masks[1, 0, 0, 1:] = True  # object 2 and one pixel of object 1: 1 of 2
    masks[2] = True  # a background click has no object
    np.testing.assert_allclose(true_iou(masks, label, np.array([1, 2, 0])), [[1, 4 / 6], [0.5, 0], [0, 0]])


def test_half_of_the_clicks_miss_and_their_target_is_zero(sam, features):
    clicks = collect(sam, features)
    assert len(clicks) == 30 and clicks.mask_tokens.shape == (30, 4, 256) and clicks.iou_token.shape == (30, 256)
    assert clicks.frame.tolist() == [k for k in range(3) for _ in range(10)]
    assert int(clicks.on_object.sum()) == 15
    assert float(clicks.target[~clicks.on_object].abs().max()) == 0 < float(clicks.target.max()) <= 1
    few = collect(sam, features, ClickConfig(per_frame=10, background_share=0.1))
    assert int(few.on_object.sum()) == 27


def test_a_frame_s_clicks_depend_on_it_and_the_seed_alone(sam, features):
    all_of_them, last = collect(sam, features), collect(sam, features, which=slice(2, 3))
    assert torch.equal(all_of_them.subset(all_of_them.frame == 2).mask_tokens, last.mask_tokens)
    other = collect(sam, features, ClickConfig(per_frame=10, seed=1), which=slice(2, 3))
    assert not torch.equal(other.iou_predictions, last.iou_predictions)


def test_decoded_clicks_come_from_the_cache_until_labels_change(sam, features, monkeypatch):
    collect(sam, features)
    decoded = []
    decoder = sam.decoder()
    decoder.register_forward_hook(lambda *_: decoded.append(1))
    monkeypatch.setattr(sam, "decoder", lambda: decoder)
    collect(sam, features)
    assert not decoded
    collect(sam, features, ids=2)
    assert len(decoded) == 3


def problem(clicks=2000) -> Clicks:
    """Any hypothesis may be the object, and only the tokens tell; the own scores always prefer the first."""
    generator = torch.Generator().manual_seed(0)
    tokens, one = (torch.randn(shape, generator=generator) for shape in ((clicks, 4, 256), (clicks, 256)))
    kind = torch.randint(0, 4, (clicks,), generator=generator)
    tokens[:, :, 0] = torch.where(kind[:, None] == torch.arange(4), 4.0, -4.0)
    on_object = torch.rand(clicks, generator=generator) > 0.5
    one[:, 0] = torch.where(on_object, 4.0, -4.0)
    target = torch.nn.functional.one_hot(kind, 4) * 0.8 * on_object[:, None]
    return Clicks(tokens, one, torch.tensor([0.9, 0.7, 0.6, 0.5]).expand(clicks, 4), target, on_object,
                  torch.arange(clicks) // 10)


def test_hdnet_learns_which_hypothesis_is_the_object(tmp_path):
    data, network = problem(), build_head("sam_tiny_hdnet", hidden=64)
    train, valid = data.subset(data.frame < 170), data.subset(data.frame >= 170)
    before = selection_quality(network, valid)
    assert before["hdnet"] == before["decoder"] < 0.5 * before["oracle"]
    fit(HdnetTask(network, train, valid, "problem"), FitConfig(epochs=8, batch=30, save_minutes=9), Ranks(),
        tmp_path / "hdnet.state", title="HDNet")
    after = selection_quality(network, valid)
    assert after["hdnet"] > 0.9 * after["oracle"]
    assert after["background"] < before["background"] - 0.2


def test_shuffled_targets_teach_nothing(tmp_path):
    """The control: the same tokens with another click's truth."""
    data, network = problem(), build_head("sam_tiny_hdnet", hidden=64)
    train, valid = data.subset(data.frame < 170), data.subset(data.frame >= 170)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    mixed = replace(train, target=train.target[order])
    fit(HdnetTask(network, mixed, valid, "shuffled"), FitConfig(epochs=8, batch=30, save_minutes=9), Ranks(),
        tmp_path / "hdnet.state", title="HDNet")
    assert selection_quality(network, valid)["hdnet"] < 0.5
