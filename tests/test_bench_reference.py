"""The reference assembly: with the same weights and points it makes the pipeline's masks; the verb compares both."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from tinynets import write_tiny_checkpoints

torch = pytest.importorskip("torch", reason="the reference assembly needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")
if importlib.util.find_spec("segment_anything") is None:
    pytest.skip("segment-anything is not installed", allow_module_level=True)

from uois_sam_ros import Segmenter, cli  # noqa: E402
from uois_sam_ros.benchmark import frames  # noqa: E402
from uois_sam_ros.benchmark.reference import ReferenceAssembly  # noqa: E402
from uois_sam_ros.benchmark.injected import injecting  # noqa: E402
from uois_sam_ros.benchmark.weights import OPEN_SELECTION  # noqa: E402
from uois_sam_ros.config import preset, update  # noqa: E402
from uois_sam_ros.engines.profiles import networks  # noqa: E402
from uois_sam_ros.errors import BackendError  # noqa: E402
from uois_sam_ros.example import box_scene  # noqa: E402
from uois_sam_ros.models.spec import model_spec  # noqa: E402
from uois_sam_ros.prompting import make_prompter  # noqa: E402
from uois_sam_ros.runtime.torch_backend import TorchModel  # noqa: E402
from uois_sam_ros.training.export_preset import random_network  # noqa: E402

PRESETS = ("paper-tiny", "shared-tiny")
STAGES = ["encoding", "prompting", "decoding", "rescoring", "selection", "total"]


@pytest.fixture(scope="module")
def modules():
    """The networks of both presets; no weight is zero, and the HPGs see foreground everywhere."""
    made = {name: random_network(name) for preset_name in PRESETS for name in networks(preset(preset_name))}
    with torch.no_grad():
        for module in made.values():
            for value in module.parameters():
                value.add_(0.03 * torch.randn_like(value))
            if hasattr(module, "out"):
                module.out.bias.copy_(torch.tensor([0.0, 6.0, 0.0]))
    return made


def both(name, modules, frame, points, **settings):
    """What the pipeline and the reference assembly make of a frame."""
    config = update(preset(name), {"runtime": {"threads": 1}, "selection": OPEN_SELECTION})
    config = update(config, settings)
    models = {network: TorchModel(model_spec(network), modules[network], config.runtime)
              for network in networks(config)}
    prompter = injecting(make_prompter(config.prompting), points) if points else None
    ours = Segmenter(config, models, prompter=prompter).stages(frame)
    return ours, ReferenceAssembly(config, modules, points=points, device="cpu").stages(frame)


@pytest.mark.parametrize("name", PRESETS)
def test_same_points_and_weights_make_the_same_masks(modules, name):
    ours, reference = both(name, modules, box_scene(640, 480)[0], 7)
    height, width = ours.mask_set.low_res_masks.shape[-2:]
    for mine, theirs in ((ours.mask_set.low_res_masks, reference.logits[..., :height, :width]),
                         (ours.mask_set.iou_predictions, reference.iou_predictions),
                         (ours.mask_set.scores, reference.scores)):
        theirs = theirs.numpy()
        assert mine.shape == theirs.shape and np.ptp(theirs) > 0.05
        assert np.abs(mine - theirs).max() <= 1e-3 * np.abs(theirs).max()
    grid = ours.features.grid
    np.testing.assert_allclose(grid.to_native(ours.prompts.points_px), reference.points_px.numpy(), atol=1e-3)


@pytest.mark.parametrize("name", PRESETS)
def test_own_points_agree(modules, name):
    ours, reference = both(name, modules, box_scene(640, 480)[0], 0)
    grid = ours.features.grid
    theirs = grid.to_working(reference.points_px.numpy()).clip(0, (grid.resized_hw[1] - 1, grid.resized_hw[0] - 1))
    assert len(ours.prompts) == len(theirs) == 30
    gaps = np.linalg.norm(ours.prompts.points_px[:, None] - theirs[None], axis=2).min(axis=1)
    assert np.median(gaps) < 1e-3 and (gaps < 1).mean() >= 0.8  # a plateau is one peak here, several there


def test_one_mask_is_the_same_label_image(modules):
    ours, reference = both("paper-tiny", modules, box_scene(320, 240)[0], 1)
    mine, theirs = ours.instances.label > 0, reference.label > 0
    assert 0.01 < theirs.mean() < 0.99
    assert (mine & theirs).sum() / (mine | theirs).sum() > 0.97


def test_limits_are_those_of_the_preset(modules):
    frame = box_scene(320, 240)[0]
    _, every = both("paper-tiny", modules, frame, 9)
    _, few = both("paper-tiny", modules, frame, 9, selection={"nms_iou": 0.0})
    _, none = both("paper-tiny", modules, frame, 9, selection={"score_threshold": 1.0})
    assert every.label.dtype == np.uint16 and every.label.shape == (240, 320)
    assert 1 <= few.label.max() <= every.label.max() and none.label.max() == 0
    for label in (every.label, few.label):
        assert set(np.unique(label)) - {0} == set(range(1, label.max() + 1))


def test_no_points_make_an_empty_picture(modules):
    ours, reference = both("shared-tiny", modules, box_scene(320, 240)[0], 0, prompting={"foreground_threshold": 1.0})
    assert len(ours.prompts) == len(reference.points_px) == 0
    assert not reference.label.any() and list(reference.ms) == STAGES


def test_a_gpu_that_is_not_there_is_refused(modules):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(BackendError, match="expected a GPU that torch can use, got 'cuda'"):
        ReferenceAssembly(preset("paper-tiny"), modules, device="cuda")


def test_the_verb_compares_with_given_and_fresh_weights(tmp_path, monkeypatch, capsys):
    scenes = [box_scene(160, 120, seed=seed)[0] for seed in range(2)]
    monkeypatch.setattr(frames, "example_frames", lambda **options: (scenes, "small boxes"))
    write_tiny_checkpoints(tmp_path)
    target = tmp_path / "bench.json"
    assert cli.main(["bench", "--preset", "shared-tiny", "--sam", str(tmp_path / "sam_tiny.pth"), "--prompts", "4",
                     "--against", "reference", "--reference-device", "cpu", "--threads", "1", "--frames", "2",
                     "--starts", "0", "--json", str(target)]) == 0
    out = capsys.readouterr().out
    assert "in turns with reference assembly of shared-tiny" in out and "ratio" in out
    report = json.loads(target.read_text())
    other = report["against"]
    assert list(other["stages"]) == STAGES and other["stages"]["encoding"]["ratio_median"] > 0
    assert report["prompts_mean"] == other["prompts_mean"] == report["injected_points"] == 4
    assert other["name"] == "reference" and other["device"] == "cpu"
    assert report["weights"] == other["weights"]
    assert report["weights"].startswith("fresh in sam_tiny_hpg, sam_tiny_hdnet: ")
    assert report["objects_mean"] > 0 and other["objects_mean"] > 0


def test_another_preset_has_fresh_weights(monkeypatch, capsys):
    monkeypatch.setattr(frames, "example_frames", lambda **options: ([box_scene(160, 120)[0]], "one scene"))
    assert cli.main(["bench", "--preset", "geometry", "--against", "reference", "--reference", "shared-tiny",
                     "--reference-device", "cpu", "--threads", "1", "--frames", "1", "--starts", "0"]) == 0
    out = capsys.readouterr().out
    assert "assembly of shared-tiny" in out and "weights fresh in all networks: times count, masks mean nothing" in out
