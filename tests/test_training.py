"""The training stages end to end: they learn, resume, and what they export segments."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import write_block_shards  # noqa: E402

from uois_sam_ros.cli import main  # noqa: E402
from uois_sam_ros.config import preset, update  # noqa: E402
from uois_sam_ros.errors import ModelError  # noqa: E402
from uois_sam_ros.models.compact import CompactModel  # noqa: E402
from uois_sam_ros.models.networks import load_reference  # noqa: E402
from uois_sam_ros.training.base import BaseConfig, base_losses  # noqa: E402
from uois_sam_ros.training.checkpoint import load_checkpoint  # noqa: E402
from uois_sam_ros.training.dataset import SampleConfig, TrainingStream  # noqa: E402
from uois_sam_ros.training.optim import build_optimizers  # noqa: E402
from uois_sam_ros.training.scores import ScoreConfig, selection_quality, train_hdnet, train_iou  # noqa: E402
from uois_sam_ros.training.tokens import TokenSet, collect_tokens, heat_peaks  # noqa: E402
from uois_sam_ros.training.warm_start import warm_start  # noqa: E402


def test_losses_fall_on_a_batch_seen_again(tmp_path):
    torch.manual_seed(0)
    sample = SampleConfig(sizes=((96, 128),), batch=3, prompts=6)
    batch = next(iter(TrainingStream(str(write_block_shards(tmp_path, shards=1)), sample)))
    model = CompactModel()
    config = BaseConfig("", "", cells=64, scored=2)
    optimizers = build_optimizers(torch.nn.ModuleList([model.encoder, model.decoder]), 2e-3)
    totals = []
    for _ in range(12):
        losses = base_losses(model, batch, config)
        total = sum(losses.values())
        for optimizer in optimizers:
            optimizer.zero_grad()
        total.backward()
        for optimizer in optimizers:
            optimizer.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.7 * totals[0]


def test_stream_is_deterministic_and_complete(tmp_path):
    folder = str(write_block_shards(tmp_path))
    sample = SampleConfig(sizes=((96, 128), (112, 96)), batch=2, prompts=5, seed=4)
    one, two = (next(iter(TrainingStream(folder, sample))) for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert one["image"].shape[1] == 13 and one["wanted"].shape == (2, 5, 3)
    other = next(iter(TrainingStream(folder, sample, start=64)))
    assert one["image"].shape != other["image"].shape or not torch.equal(one["image"], other["image"])


def test_base_resumes_and_records_where_it_comes_from(trained_run):
    content = load_checkpoint(trained_run / "run" / "base.pth")
    assert content["samples"] == 60
    assert content["facts"]["command"].startswith("uois-sam") and content["facts"]["revision"]
    assert (trained_run / "run" / "iou.png").exists() and (trained_run / "run" / "hdnet.png").exists()


def test_score_stages_leave_the_base_alone(trained_run):
    run = trained_run / "run"
    base, hdnet = load_checkpoint(run / "base.pth")["average"], load_checkpoint(run / "hdnet.pth")["model"]
    changed = {name.split(".")[1] for name in base if not torch.equal(base[name], hdnet[name])}
    assert changed <= {"iou_head", "evidence", "mlp"}
    assert any(name.startswith("hdnet") and not torch.equal(base[name], hdnet[name]) for name in base)


def test_exported_run_segments(trained_run):
    from uois_sam_ros import Frame, Intrinsics, Segmenter

    manifest = json.loads((trained_run / "engines" / "manifest.json").read_text())["models"]
    assert set(manifest) == {"compact_encoder", "compact_decoder", "compact_hdnet"}
    config = update(preset("compact"), {"runtime": {"model_dir": str(trained_run / "engines")}})
    frame = Frame(np.zeros((120, 160, 3), np.uint8), np.ones((120, 160), np.float32), Intrinsics(150, 150, 80, 60))
    assert Segmenter(config).segment(frame).label.shape == (120, 160)


def _score_problem(clicks: int = 1200) -> TokenSet:
    """Hypothesis 2 is the object, and only the tokens tell; hypothesis 0 has the best own IoU."""
    torch.manual_seed(0)
    tokens, pooled = torch.randn(clicks, 5, 128), torch.randn(clicks, 3, 83)
    kind = torch.randint(0, 3, (clicks,))
    for hypothesis in range(3):
        tokens[:, 1 + hypothesis, 0] = torch.where(kind == hypothesis, 4.0, -4.0)
    any_level = torch.tensor([0.9, 0.8, 0.7]).expand(clicks, 3).contiguous()
    obj = torch.nn.functional.one_hot(kind, 3) * any_level
    on_object = torch.rand(clicks) > 0.2
    obj = obj * on_object[:, None]
    return TokenSet(tokens, pooled, any_level, obj, on_object, torch.arange(clicks) // 10)


def test_hdnet_learns_which_hypothesis_is_the_object():
    model = CompactModel().eval()
    assert model.decoder.evidence.layers[0].in_features == 83
    data = _score_problem()
    config = ScoreConfig(epochs=36, batch=128)
    history = train_iou(model, data, config)
    assert history[-1]["validation"] < 0.02  # an untrained head is off by 0.09
    before = selection_quality(model, data)
    train_hdnet(model, data, config)
    after = selection_quality(model, data)
    assert after["hdnet"] > 0.95 * after["oracle"] > before["hdnet"] + 0.2


def test_heat_peaks_are_the_strongest_maxima():
    heat = torch.zeros(1, 1, 8, 8)
    heat[0, 0, 2, 3], heat[0, 0, 6, 6], heat[0, 0, 6, 5] = 0.9, 0.5, 0.4
    points = heat_peaks(heat, 2)[0]
    assert points.tolist() == [[6.5, 4.5], [12.5, 12.5]]


def test_clicks_come_from_the_folders_in_turns(tmp_path):
    for name, first in (("seen", 0), ("unseen", 1000)):
        write_block_shards(tmp_path / name, shards=1, first=first)
    model, sample = CompactModel(), SampleConfig(sizes=((96, 128),), batch=2, prompts=4)
    seen, unseen, both = (collect_tokens(model, [str(tmp_path / name) for name in names], views, sample, peaks=2)
                          for names, views in ((["seen"], 2), (["unseen"], 2), (["seen", "unseen"], 4)))
    for part, views in ((seen, (0, 1)), (unseen, (2, 3))):
        assert torch.equal(part.tokens, both.subset(torch.isin(both.view, torch.tensor(views))).tokens)
    assert not torch.equal(seen.tokens, unseen.tokens)


@pytest.mark.parametrize("arguments,message", [
    (["hdnet", "--out", "x", "--unseen", "y"], "expected stage iou"),
    (["base", "--out", "x"], "needs a folder of shards"),
    (["iou", "--out", "nowhere", "--data", "x"], "x"),
    (["hdnet", "--out", "nowhere"], "run the earlier stage first"),
    (["base", "--out", "x", "--data", "nowhere-at-all", "--workers", "0"], "nowhere-at-all"),
])
def test_refusals(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("size", ["100x128", "96", "axb", "48x96"])
def test_sizes_that_do_not_fit_are_refused(size, capsys):
    with pytest.raises(SystemExit):
        main(["train", "base", "--out", "x", "--size", size])
    assert "multiples of 16" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"junk"])
def test_damaged_checkpoints_are_refused(tmp_path, content):
    (tmp_path / "base.pth").write_bytes(content)
    with pytest.raises(ModelError, match="use another checkpoint"):
        load_checkpoint(tmp_path / "base.pth")


def test_foreign_checkpoints_are_refused(tmp_path):
    torch.save({"weights": torch.zeros(2)}, tmp_path / "base.pth")
    with pytest.raises(ModelError, match="'uois-sam train' wrote"):
        load_checkpoint(tmp_path / "base.pth")


def test_warm_start_equals_the_exported_model(trained_run):
    engines = trained_run / "engines"
    model = CompactModel()
    image = torch.randn(4, 13, 96, 128, generator=torch.Generator().manual_seed(1))
    points = torch.tensor([[20.0, 30.0], [64.0, 64.0]])
    warm_start(model, engines, image, points)
    other = torch.randn(1, 13, 96, 128, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        features = model.eval().encoder(other)
        exported = load_reference("compact_encoder", engines)(other)
        masks = model.decoder(*features[:4], points)
        expected = load_reference("compact_decoder", engines)(*exported[:4], points)
    for ours, theirs in zip((*features, *masks), (*exported, *expected)):
        assert torch.allclose(ours, theirs, atol=1e-3)
    fresh = CompactModel().eval().encoder(other)
    assert not torch.allclose(fresh[0], exported[0], atol=1e-1)
