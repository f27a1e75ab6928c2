"""Frame -> network inputs -> features on the device, against the numpy stages."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the device frame path needs torch")

import cv2  # noqa: E402
from devicerig import DEVICES, made_up, recorded, run_exported, upload  # noqa: E402

from uois_sam_ros.config import EncodingConfig, RuntimeConfig, preset  # noqa: E402
from uois_sam_ros.device.encoding import GEOMETRY, DeviceEncoder, FrameInputs  # noqa: E402
from uois_sam_ros.device.median import masked_median  # noqa: E402
from uois_sam_ros.device.nearest import FAR, knight, nearest_marked, octagon  # noqa: E402
from uois_sam_ros.device.resample import GridColor, PillowResize  # noqa: E402
from uois_sam_ros.device.types import DeviceFrame, DeviceGeometry  # noqa: E402
from uois_sam_ros.encoding.encode import Encoder  # noqa: E402
from uois_sam_ros.encoding.kinds import INPUT_KINDS  # noqa: E402
from uois_sam_ros.encoding.resample import resize_antialiased  # noqa: E402
from uois_sam_ros.encoding.transform import frame_to_grid, resize_color, working_grid  # noqa: E402
from uois_sam_ros.errors import FrameError, ModelError  # noqa: E402
from uois_sam_ros.geometry import compute_geometry  # noqa: E402
from uois_sam_ros.models.networks import build_network  # noqa: E402
from uois_sam_ros.models.spec import model_spec  # noqa: E402
from uois_sam_ros.runtime.torch_backend import TorchModel  # noqa: E402

SMALL = EncodingConfig(short_side=96, long_side=160)
TINY_SAM = EncodingConfig(encoders=(), short_side=128, long_side=128, multiple=4)
TROUBLE = ("holes", "broken", "no plane", "no depth", "too few")


def tensor(color: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(color)[None].permute(0, 3, 1, 2).float()


def prepare(frames, config=SMALL, kinds=("rgbd",), device="cpu"):
    """Return the stage's outputs by name, on the host."""
    batch = upload(frames, device)
    stage = FrameInputs(config, kinds, batch.native_hw, with_depth=batch.depth_m is not None).to(device)
    given = [batch.color, batch.depth_m, batch.intrinsics][:len(stage.input_names)]
    return {name: value.cpu().numpy() for name, value in zip(stage.output_names, stage(*given))}


def host_inputs(frame, config, kind="rgbd"):
    """Return the numpy stage's input and geometry."""
    grid = working_grid((frame.height, frame.width), config)
    color, depth = frame_to_grid(frame, grid)
    geometry = None if depth is None else compute_geometry(
        depth, frame.intrinsics.scaled(*grid.scale_xy), max_depth_m=config.max_depth_m,
        min_valid=config.min_valid_depth)
    return INPUT_KINDS[kind].build(frame, grid, color, geometry), geometry


@pytest.mark.parametrize("native", [(480, 640), (427, 640), (270, 480), (500, 333)])
def test_shrunk_colour_is_opencvs(native):
    color = np.random.default_rng(0).integers(0, 256, (*native, 3)).astype(np.uint8)
    grid = working_grid(native, EncodingConfig())
    np.testing.assert_array_equal(GridColor(grid)(tensor(color))[0].permute(1, 2, 0).numpy(), resize_color(color, grid))


def test_enlarged_colour_is_opencvs_to_one_level():
    color = np.random.default_rng(0).integers(0, 256, (90, 121, 3)).astype(np.uint8)
    grid = working_grid((90, 121), EncodingConfig())
    difference = GridColor(grid)(tensor(color))[0].permute(1, 2, 0).numpy() - resize_color(color, grid)
    assert np.abs(difference).max() <= 1 and np.mean(difference != 0) < 0.2


@pytest.mark.parametrize(("old", "new"), [((48, 64), (77, 102)), ((135, 240), (58, 102)), ((33, 47), (33, 19))])
def test_antialiased_colour_is_bit_exact(old, new):
    color = np.random.default_rng(0).integers(0, 256, (*old, 3)).astype(np.uint8)
    made = PillowResize(old, new)(tensor(color))[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(made, resize_antialiased(color, new))


@pytest.mark.parametrize("share", [0.5, 0.02, 0.001])
def test_nearest_marked_is_a_nearest_one(share):
    marked = np.random.default_rng(1).random((90, 130)) < share
    marked[40, 50] = True
    index, distance = (values[0].numpy() for values in nearest_marked(torch.from_numpy(marked)[None], knight))
    expected, _ = cv2.distanceTransformWithLabels((~marked).astype(np.uint8), cv2.DIST_L2, 3,
                                                  labelType=cv2.DIST_LABEL_PIXEL)
    assert marked.reshape(-1)[index].all()
    assert np.mean(np.abs(distance - expected) > 1e-3) < 0.001
    rows, cols = np.mgrid[:90, :130]
    dy, dx = np.abs(index // 130 - rows), np.abs(index % 130 - cols)
    np.testing.assert_allclose(knight(torch.tensor(dy).float(), torch.tensor(dx).float()), distance, atol=1e-3)
    _, distance = nearest_marked(torch.from_numpy(marked)[None], octagon)
    expected = cv2.distanceTransform((~marked).astype(np.uint8), cv2.DIST_L2, 3)
    assert np.mean(np.abs(distance[0].numpy() / 65536 - expected) > 1e-2) < 0.001


def test_nothing_marked_is_far():
    index, distance = nearest_marked(torch.zeros(2, 9, 12, dtype=torch.bool), octagon)
    assert (index == 0).all() and (distance == FAR).all()


def test_masked_median():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.uniform(0.1, 3.9, (4, 500)).astype(np.float32))
    values[3, :250], values[3, 250:] = 0.5, 3.0  # nothing near the middle
    marked = torch.from_numpy(rng.random((4, 500)) < 0.5)
    marked[0], marked[1] = False, False
    marked[1, 7], marked[3] = True, True
    medians = masked_median(values, marked, 0.05, 4.0).numpy()
    assert medians[0] == 0 and medians[1] == values[1, 7] and medians[3] == np.float32(1.75)
    assert abs(medians[2] - np.median(values[2][marked[2]].numpy())) < 1e-6


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("native", [(120, 160), (107, 161)])
def test_rgbd_input_and_geometry(trouble, native, device):
    frame = made_up(trouble, height=native[0], width=native[1])
    expected, geometry = host_inputs(frame, SMALL)
    outputs = prepare([frame], device=device)
    image = outputs["rgbd_image"]
    assert image.shape == expected.shape and image.dtype == np.float32
    np.testing.assert_allclose(image[:, :3], expected[:, :3], atol=1e-6)
    if geometry is None:
        assert not image[:, 3:].any() and not outputs.get("usable", np.zeros(1)).any()
        assert all(np.isfinite(values).all() for values in outputs.values())
        return
    np.testing.assert_array_equal(outputs["valid"][0], geometry.valid)
    assert outputs["usable"].all() and outputs["plane_found"][0] == (geometry.plane is not None)
    if geometry.plane is not None:
        np.testing.assert_allclose(outputs["plane"][0], [*geometry.plane.normal, geometry.plane.offset], atol=2e-5)
    else:
        assert not outputs["plane"].any() and not outputs["height_m"].any()
    alike = np.abs(outputs["points_m"][0] - geometry.points_m).max(axis=-1) < 1e-5  # not where holes take another edge
    assert alike[geometry.valid].all() and alike.mean() > 0.9
    near_same = cv2.erode(alike.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    np.testing.assert_allclose(outputs["normals"][0][near_same], geometry.normals[near_same], atol=2e-3)
    np.testing.assert_allclose(outputs["height_m"][0][alike], geometry.height_m[alike], atol=1e-4)
    difference = np.abs(image[0, 3:] - expected[0, 3:])
    assert difference[:4, alike].max() < 1e-4 and difference[7:9, alike].max() < 1e-3  # height, on_plane
    assert np.mean(difference > 0.01) < (0.1 if trouble == "broken" else 0.05)  # a third of it scattered holes


@pytest.mark.parametrize("frame", recorded(2), ids=lambda frame: frame.name)
def test_geometry_of_the_recording(frame):
    expected, geometry = host_inputs(frame, EncodingConfig())
    outputs = prepare([frame], EncodingConfig())
    np.testing.assert_allclose(outputs["plane"][0], [*geometry.plane.normal, geometry.plane.offset], atol=1e-5)
    alike = np.abs(outputs["points_m"][0] - geometry.points_m).max(axis=-1) < 1e-5
    assert alike[geometry.valid].all() and alike[~geometry.valid].mean() > 0.95  # of equally near readings another
    assert np.mean(np.abs(outputs["rgbd_image"] - expected) > 0.01) < 0.05


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["sam", "dinov2"])
@pytest.mark.parametrize("native", [(120, 160), (107, 161)])
def test_colour_inputs(kind, native, device):
    frame = made_up("no depth", height=native[0], width=native[1])
    expected, _ = host_inputs(frame, TINY_SAM, kind)
    np.testing.assert_allclose(prepare([frame], TINY_SAM, (kind,), device)[f"{kind}_image"], expected, atol=2e-6)


def test_three_cameras_equal_three_single_ones():
    frames = [made_up(name, seed=k) for k, name in enumerate(("holes", "too few", "no plane"))]
    together = prepare(frames, kinds=("rgbd", "dinov2"))
    for k, frame in enumerate(frames):
        for name, alone in prepare([frame], kinds=("rgbd", "dinov2")).items():
            np.testing.assert_allclose(together[name][k], alone[0], atol=1e-6, err_msg=name)
    assert together["usable"].tolist() == [True, False, True]
    assert together["plane_found"].tolist() == [True, False, False]


def test_exported_inputs_are_the_same(tmp_path):
    batch = upload([made_up("holes"), made_up("broken", seed=1)])
    stage = FrameInputs(SMALL, ("rgbd", "dinov2"), batch.native_hw, with_depth=True)
    inputs = dict(zip(stage.input_names, (batch.color, batch.depth_m, batch.intrinsics)))
    exported = run_exported("inputs", stage, inputs, stage.output_names, tmp_path)
    for name, value in zip(stage.output_names, stage(*inputs.values())):
        difference = np.abs(exported[name].astype(float) - value.numpy().astype(float))
        assert difference.max() < (2e-3 if name in ("normals", "rgbd_image") else 1e-4), name


def test_exported_colour_input_is_the_same(tmp_path):
    color = upload([made_up("no depth")]).color
    stage = FrameInputs(TINY_SAM, ("sam",), (120, 160), with_depth=False)
    exported = run_exported("inputs", stage, {"color": color}, stage.output_names, tmp_path)
    np.testing.assert_allclose(exported["sam_image"], stage(color)[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("native", [(120, 160), (107, 161)])
@pytest.mark.parametrize(("name", "cameras"), [("compact", 2), ("paper-tiny", 1), ("shared-tiny", 1)])
def test_features_equal_the_hosts(name, native, cameras):
    """Fresh weights: the networks are the same objects on both sides."""
    config = preset(name).encoding
    torch.manual_seed(0)
    networks = {model: build_network(model) for model in config.encoders}
    frames = [made_up("holes", height=native[0], width=native[1], seed=k) for k in range(cameras)]
    host = Encoder(config, [TorchModel(model_spec(model), network, RuntimeConfig(threads=1))
                            for model, network in networks.items()])
    with torch.inference_mode():
        features = DeviceEncoder(config, networks, native)(upload(frames))
    for k, frame in enumerate(frames):
        expected = host(frame)
        assert features.grid == expected.grid and set(features.maps) == set(expected.maps)
        for tensor_name, values in expected.maps.items():
            found = features[tensor_name][k:k + 1].numpy()
            assert found.shape == values.shape
            error = np.abs(found - values).mean() / np.abs(values).mean()
            assert error < (0.05 if name == "compact" else 1e-4), tensor_name  # filled holes differ


def test_depth_that_is_off_or_missing():
    config = EncodingConfig(encoders=(), depth="off")
    frame = made_up("holes")
    assert DeviceEncoder(config, {}, (120, 160))(upload([frame])).geometry is None
    assert DeviceEncoder(EncodingConfig(encoders=()), {}, (120, 160))(upload([frame.without_depth()])).geometry is None
    with pytest.raises(FrameError, match="expected depth"):
        DeviceEncoder(EncodingConfig(encoders=(), depth="require"), {}, (120, 160))(upload([frame.without_depth()]))


def test_refusals():
    with pytest.raises(ModelError, match="expected the networks compact_encoder"):
        DeviceEncoder(EncodingConfig(), {}, (120, 160))
    with pytest.raises(FrameError, match="build a DeviceEncoder for this size"):
        DeviceEncoder(EncodingConfig(encoders=()), {}, (60, 80))(upload([made_up("holes")]))
    color, depth = torch.zeros(2, 20, 30, 3, dtype=torch.uint8), torch.zeros(2, 20, 30)
    for given in ((color.float(),), (color[0],), (color, depth), (color, depth[:1], torch.ones(2, 4)),
                  (color, depth.double(), torch.ones(2, 4)), (color, depth, torch.ones(2, 3))):
        with pytest.raises(FrameError, match="device frame"):
            DeviceFrame(*given)


def test_geometry_names():
    assert GEOMETRY == tuple(field.name for field in fields(DeviceGeometry))
