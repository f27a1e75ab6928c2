"""The device stages that are exported, small, with inputs that give them something to decide."""

from __future__ import annotations

import numpy as np
import torch
from ondevice import device_features, device_masks
from test_device_prompting import GRID as PROMPT_GRID
from test_device_prompting import maps, on_device
from test_device_selection import GRID, LOOSE, blobs, depth_scene, picture

from uois_sam_ros.config import PromptingConfig, RescoringConfig, SelectionConfig
from uois_sam_ros.device.graphs import ElectionGraph, RescoringGraph
from uois_sam_ros.device.paint import make_painter
from uois_sam_ros.device.prompting import HpgPoints
from uois_sam_ros.device.types import DeviceGeometry
from uois_sam_ros.models.networks import build_network
from uois_sam_ros.models.spec import model_spec
from uois_sam_ros.types import Features

PLACES, PAINTED = 14, 8
GEOMETRY = tuple(DeviceGeometry.__dataclass_fields__)


def named(stage, values):
    """Return the stage and its inputs by name."""
    return stage.eval(), dict(zip(stage.input_names, values, strict=True))


def prompting():
    """Two cameras; one map in steps, whose peaks are plateaus."""
    cameras = [maps(seed) for seed in range(2)]
    cameras[1]["heatmap"] = np.round(10 * cameras[1]["heatmap"]) / 10
    config = PromptingConfig(max_points=20, coverage_points=6)
    return named(HpgPoints(config, PROMPT_GRID, (64, 80), (64, 80)),
                 [values.squeeze(1).contiguous() for values in on_device(cameras).maps.values()])


def rescoring():
    """HDNet with weights that do something, and the foreground term."""
    torch.manual_seed(0)
    network, spec, width = build_network("compact_hdnet").eval(), model_spec("compact_hdnet"), 128
    torch.nn.init.normal_(network.mlp.layers[-1].weight, std=0.2)
    masks = device_masks([blobs(12, seed=1), blobs(9, seed=2)], PLACES, "cpu")
    stage = RescoringGraph(RescoringConfig(foreground_weight=0.5), GRID, network, spec)
    return named(stage, [masks.low_res_masks, masks.iou_predictions, torch.randn(2, PLACES, 3, width),
                         torch.randn(2, PLACES, width), torch.rand(2, PLACES, 2) * 48, masks.valid,
                         torch.rand(2, *GRID.padded_hw)])


def election():
    """One camera with depth and one without."""
    _, geometry = depth_scene(GRID)
    features = device_features([Features(GRID, {}, geometry), Features(GRID, {}, None)], "cpu")
    masks = device_masks([blobs(12, seed=1), blobs(9, seed=2)], PLACES, "cpu")
    return named(ElectionGraph(SelectionConfig(score_threshold=0.0), GRID, PAINTED),
                 [masks.low_res_masks, masks.scores, masks.valid,
                  *(getattr(features.geometry, name) for name in GEOMETRY)])


def painting():
    """The masks that ``election`` chooses, with edges snapped."""
    stage, inputs = election()
    with torch.inference_mode():
        ballots = [values.clone() for values in stage(*inputs.values())[:5]]
    color = torch.from_numpy(np.stack([picture(GRID.native_hw, seed) for seed in range(2)]))
    return named(make_painter(LOOSE, GRID), [*ballots, color])


STAGES = {make.__name__: make for make in (prompting, rescoring, election, painting)}
