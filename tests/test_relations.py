"""How candidate masks lie among one another: by hand, numpy against torch, and what is not regarded."""

import numpy as np
import pytest

from uois_sam_ros.rescoring.relations import candidate_relations

torch = pytest.importorskip("torch")
from uois_sam_ros.models.relations import COUNT, NAMES, relations, shared_cells  # noqa: E402


def squares(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Logits [1, h, w] a box, given in cells x0, y0, x1, y1 of a 10 x 8 picture."""
    masks = np.full((len(boxes), 1, 32, 40), -1, np.float32)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes):
        mask[0, 4 * y0:4 * y1, 4 * x0:4 * x1] = 1
    return masks


def named(found: np.ndarray) -> dict[str, np.ndarray]:
    return {name: found[..., k].reshape(-1) for k, name in enumerate(NAMES)}


def test_a_box_with_two_things_in_it():
    """Two prompts on halves of a box, one on the whole of it, one far away."""
    masks = squares((0, 0, 2, 4), (2, 0, 4, 4), (0, 0, 4, 4), (6, 5, 8, 7))
    found = named(candidate_relations(masks, np.float32([[0.9], [0.8], [0.5], [1.0]])))
    assert np.allclose(found["held"], [0, 0, 0.9, 0]) and np.allclose(found["holder"], [0.5, 0.5, 0, 0])
    assert np.allclose(found["holding"], np.log1p([0, 0, 0.9**4 + 0.8**4, 0]))
    assert np.allclose(found["agreed"], [0.25, 0.25, 0.45, 0])  # an IoU of a half each
    assert np.allclose(found["rival"], [-0.9, -0.8, -0.5, -1.0])  # none competes: a half is not more than a half
    assert np.allclose(found["part_rival"], [0.125, 0.125, 0.45, 0]), "half of the box is in a half, IoU 0.5"
    assert np.allclose(found["whole_rival"], [0.25, 0.25, 0.225, 0])


def test_two_prompts_on_one_object():
    masks = squares((0, 0, 4, 4), (0, 0, 4, 3))
    found = named(candidate_relations(masks, np.float32([[0.6], [0.9]])))
    assert np.allclose(found["rival"], [0.3, -0.3]) and np.allclose(found["agreed"], [0.675, 0.45])


def test_hypotheses_of_one_prompt_are_siblings_and_not_others():
    masks = squares((0, 0, 2, 4), (0, 0, 4, 4)).reshape(1, 2, 32, 40)
    found = named(candidate_relations(masks, np.float32([[0.9, 0.4]])))
    assert np.allclose(found["sibling_iou"], 0.5) and np.allclose(found["lead"], [0.5, -0.5])
    assert np.allclose(found["sibling_held"], [0.5, 1]) and np.allclose(found["sibling_holder"], [1, 0.5])
    assert not found["agreed"].any() and not found["held"].any() and not found["holder"].any()


def test_numpy_equals_torch():
    rng = np.random.default_rng(0)
    masks = np.cumsum(rng.normal(size=(2, 7, 3, 48, 64)), axis=-1).astype(np.float32)
    masks[0, 3, 1] = -1  # an empty one
    iou = rng.random((2, 7, 3)).astype(np.float32)
    counted = torch.ones(2, 7, dtype=torch.bool)
    found = relations(shared_cells(torch.from_numpy(masks) > 0), torch.from_numpy(iou), counted).numpy()
    assert found.shape == (2, 7, 3, COUNT)
    for one, logits, scores in zip(found, masks, iou):
        assert np.allclose(candidate_relations(logits, scores), one, atol=1e-5)


def test_a_prompt_that_does_not_count_changes_nothing_for_the_others():
    rng = np.random.default_rng(1)
    masks = torch.from_numpy(np.cumsum(rng.normal(size=(1, 6, 3, 48, 64)), axis=-1)) > 0
    iou = torch.from_numpy(rng.random((1, 6, 3)).astype(np.float32))
    counted = torch.tensor([[True, True, True, True, False, False]])
    every = relations(shared_cells(masks), iou, counted)
    four = relations(shared_cells(masks[:, :4]), iou[:, :4], counted[:, :4])
    assert torch.allclose(every[:, :4], four, atol=1e-6)
    assert not torch.allclose(every, relations(shared_cells(masks), iou, torch.ones_like(counted)), atol=1e-2)
