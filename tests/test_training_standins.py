"""The stand-ins for SAM and DINOv2: what they are taught, that they learn it, resume, and load as official files do."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import write_block_shards  # noqa: E402

from uois_sam_ros.cli import main  # noqa: E402
from uois_sam_ros.models.dinov2 import build_dinov2, load_dinov2  # noqa: E402
from uois_sam_ros.models.sam import build_sam, load_sam  # noqa: E402
from uois_sam_ros.models.spec import model_spec  # noqa: E402
from uois_sam_ros.training.dense import OFFSET_CELLS, DenseLearner, boundaries, centre_offsets  # noqa: E402
from uois_sam_ros.training.optim import build_optimizers  # noqa: E402
from uois_sam_ros.training.standins import PromptLearner, best_level_iou  # noqa: E402
from uois_sam_ros.training.views import ViewBatches, ViewConfig  # noqa: E402

SAM, DINOV2 = model_spec("sam_tiny_encoder"), model_spec("dinov2_tiny_encoder")


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> str:
    return str(write_block_shards(tmp_path_factory.mktemp("blocks"), shards=2, frames=4))


def test_the_way_to_the_centre_and_the_boundary_by_hand():
    label = torch.tensor([[[0, 0, 0, 0], [0, 3, 3, 0], [0, 3, 3, 0], [0, 0, 0, 1]]])
    offset = centre_offsets(label) * OFFSET_CELLS
    assert offset[0, :, 1, 1].tolist() == [0.5, 0.5] and offset[0, :, 2, 1].tolist() == [0.5, -0.5]
    assert offset[0, :, 3, 3].tolist() == [0, 0] and offset[0, :, 0].abs().sum() == 0
    edge = boundaries(label)
    assert edge[0, 1, 1] and edge[0, 1, 0] and edge[0, 3, 3] and not edge[0, 0, 0]


def test_a_mask_is_scored_with_the_level_that_fits_it_best():
    masks = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)[None, None]
    targets = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)[None, None]
    there = torch.tensor([[[True, True, False]]])
    assert best_level_iou(masks, targets, there)[0, 0].tolist() == [0.5, 1.0]
    assert best_level_iou(masks, targets, torch.zeros_like(there))[0, 0].tolist() == [0, 0]


@pytest.mark.parametrize("spec, shape", [(SAM, (3, 512, 512)), (DINOV2, (3, 336, 448))])
def test_a_batch_depends_on_the_seed_and_its_number_alone(shards, spec, shape):
    one, two = (ViewBatches(shards, spec, ViewConfig(batch=2, prompts=5)) for _ in range(2))
    one[3]  # what was asked before does not matter
    first, second = one[7], two[7]
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert tuple(first["image"].shape) == (2, *shape) and tuple(first["maps"].shape) == (2, 3, 96, 128)
    assert not torch.equal(first["image"], one[8]["image"])
    x, y = first["points"].long().unbind(-1)
    clicked = torch.stack([maps[0][rows, cols] for maps, rows, cols in zip(first["maps"], y, x)])
    assert torch.equal(clicked, first["wanted"][..., 0]) and (clicked > 0).all()


@pytest.mark.parametrize("network", ["dense", "prompts"])
def test_losses_fall_on_a_batch_seen_again(shards, network):
    torch.manual_seed(0)
    if network == "dense":
        learner, spec = DenseLearner(build_dinov2("tiny"), 96), DINOV2
    else:
        learner, spec = PromptLearner(build_sam("tiny")), SAM
    batch = ViewBatches(shards, spec, ViewConfig(batch=1, prompts=3))[0]
    optimizers = build_optimizers(learner, 2e-3)
    totals = []
    for _ in range(8):
        with torch.autocast("cpu", torch.bfloat16):
            total = sum(learner(batch).values())
        total.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.9 * totals[0]


def command(shards, out, *more):
    return ["train", "standins", "--preset", "paper-tiny", "--data", shards, "--out", str(out), "--samples", "4",
            "--batch", "2", "--save-minutes", "0", "--threads", "1", "--amp", *more]


def test_stopped_between_two_steps_they_end_the_same_and_load_as_official_files(shards, tmp_path, monkeypatch, capsys):
    assert main(command(shards, tmp_path / "whole")) == 0
    original = ViewBatches.__getitem__
    asked = []

    def stop(self, step):
        asked.append(self.spec.name)
        if asked == [DINOV2.name, SAM.name, SAM.name, SAM.name]:  # in the last step of the prompts
            raise KeyboardInterrupt
        return original(self, step)

    monkeypatch.setattr(ViewBatches, "__getitem__", stop)
    assert main(command(shards, tmp_path / "stopped")) == 130
    monkeypatch.setattr(ViewBatches, "__getitem__", original)
    assert not (tmp_path / "stopped" / "sam_tiny.pth").exists()
    assert main(command(shards, tmp_path / "stopped")) == 0
    for name, load in (("sam_tiny.pth", load_sam), ("dinov2_tiny.pth", load_dinov2)):
        one, two = (load(tmp_path / run / name, "tiny").state_dict() for run in ("whole", "stopped"))
        assert all(torch.equal(value, two[key]) for key, value in one.items()), name
    assert (tmp_path / "whole" / "sam_prompts.png").exists()


@pytest.mark.parametrize("more, message", [
    (["--preset", "paper"], "weights list"), (["--preset", "compact"], "paper-tiny or shared-tiny"),
    (["--data", "nowhere"], "nowhere"), (["--samples", "0"], "expected 1 or more")])
def test_refusals(shards, tmp_path, capsys, more, message):
    assert main([*command(shards, tmp_path), *more]) == 2
    assert message in capsys.readouterr().err


def test_views_look_like_what_the_networks_will_see(shards):
    """Normalised colours: zero padding below SAM's picture, none around DINOv2's."""
    image = ViewBatches(shards, SAM, ViewConfig(batch=1))[0]["image"][0]
    assert float(image[:, 384:].abs().max()) == 0 < float(image[:, :384].abs().max()) < 3
    other = ViewBatches(shards, DINOV2, ViewConfig(batch=1))[0]["image"][0]
    assert np.abs(other.numpy()).max() < 3
