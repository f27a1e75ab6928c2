"""Losses, sampling and the optimiser, on cases worked out by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
from uois_sam_ros.training.losses import (foreground_loss, heatmap_loss, mask_loss,  # noqa: E402
                                          sample_cells)
from uois_sam_ros.training.optim import (Muon, WeightAverage, build_optimizers,  # noqa: E402
                                         learning_rate, orthogonalise)


def _case():
    truth = torch.zeros(1, 1, 3, 64)
    truth[..., 0, :32] = 1  # object
    truth[..., 1, :16] = 1  # part
    weight = torch.ones(1, 1, 64)
    available = torch.tensor([[[True, True, False]]])
    return truth, weight, available


def test_mask_loss_takes_the_best_hypothesis_at_each_level():
    truth, weight, available = _case()
    sure = lambda level: (truth[:, :, level] * 2 - 1) * 20
    right = torch.stack([sure(0), sure(1), -sure(0)], dim=2)
    loss, iou = mask_loss(right, truth, weight, available)
    missing_part = torch.stack([sure(0), sure(0), -sure(0)], dim=2)
    worse, _ = mask_loss(missing_part, truth, weight, available)
    assert worse > loss + 0.3
    assert torch.allclose(iou, torch.tensor([[[1.0, 1.0, 0.0]]]), atol=1e-4)


def test_mask_loss_ignores_levels_that_are_not_there():
    truth, weight, _ = _case()
    logits = torch.randn(1, 1, 3, 64)
    none = torch.zeros(1, 1, 3, dtype=torch.bool)
    loss, iou = mask_loss(logits, truth, weight, none)
    assert float(loss) == 0 and float(iou.max()) == 0


def test_sampled_cells_are_unbiased():
    torch.manual_seed(0)
    boundary = torch.zeros(1, 20, 20)
    boundary[0, 5:8, 5:8] = 1
    boxes = torch.tensor([[[4, 4, 9, 9]]])
    index, weight = sample_cells(boxes, boundary, 20000)
    area = torch.zeros(400)
    area.view(20, 20)[5:8, 5:8] = 1
    estimate = float((weight * area[index]).mean()) * 400
    assert estimate == pytest.approx(9, rel=0.1)
    assert float((area[index] > 0).float().mean()) > 0.4  # boundaries are looked at often


def test_heatmap_loss_prefers_the_truth():
    target = torch.zeros(1, 1, 9, 9)
    target[0, 0, 4, 4] = 1
    right = (target * 2 - 1) * 8
    assert heatmap_loss(right, target) < 0.01 < heatmap_loss(-right, target)


def test_foreground_loss_prefers_the_truth():
    target = torch.zeros(1, 1, 8, 8)
    target[..., :3] = 1
    right = (target * 2 - 1) * 8
    assert foreground_loss(right, target) < 0.01 < foreground_loss(torch.zeros_like(target), target)


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (32, 32)])
def test_orthogonalise_flattens_the_spectrum(shape):
    torch.manual_seed(1)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert float(values.min()) > 0.5 and float(values.max()) < 1.3


def test_muon_descends_and_moves_like_adamw():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(32, 32))
    start = weight.detach().clone()
    optimizer = Muon([weight], lr=0.01, weight_decay=0)
    weight.grad = torch.randn(32, 32)
    optimizer.step()
    assert float((weight - start).detach().pow(2).mean().sqrt()) == pytest.approx(0.002, rel=0.3)
    optimizer.param_groups[0]["lr"] = 0.05
    for _ in range(250):
        optimizer.zero_grad()
        weight.pow(2).mean().backward()
        optimizer.step()
    assert float(weight.detach().pow(2).mean()) < 0.2 * float(start.pow(2).mean())


def test_every_parameter_has_one_optimizer():
    from uois_sam_ros.models.compact import CompactModel

    model = CompactModel()
    given = [p for o in build_optimizers(model, 1e-3) for g in o.param_groups for p in g["params"]]
    assert len({id(p) for p in given}) == len(given) == len(list(model.parameters()))


def test_weight_average_follows():
    layer = torch.nn.Linear(2, 2)
    average = WeightAverage(layer, decay=0.5)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    for _ in range(40):
        average.update(layer)
    assert torch.allclose(average.module.weight, layer.weight, atol=1e-3)


def test_learning_rate_warms_up_holds_and_ends_at_zero():
    assert learning_rate(0.01) == pytest.approx(0.5)
    assert learning_rate(0.3) == learning_rate(0.6 - 1e-6) == 1
    assert learning_rate(0.8) == pytest.approx(0.5)
    assert learning_rate(1.0) == 0
